#include "dns.h"
int dns_start(const json_t *servers, struct failure *failure)
{
    (void)servers;
    (void)failure;
    return 0;
}
void dns_stop(void)
{
}
