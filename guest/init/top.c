#include "top.h"
void container_top(struct request request, const json_t *params)
{
    (void)params;
    respond(request, NULL);
}
