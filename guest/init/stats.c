#include "stats.h"
void container_stats(struct request request, const json_t *params)
{
    (void)params;
    respond(request, NULL);
}
void container_grow_disk(struct request request, const json_t *params)
{
    (void)params;
    respond(request, NULL);
}
