/* A container's counters, and the size of its disk. */
#ifndef CAISSON_STATS_H
#define CAISSON_STATS_H

#include <jansson.h>

#include "wire/port.h"

void container_stats(struct request request, const json_t *params);
void container_grow_disk(struct request request, const json_t *params);

#endif
