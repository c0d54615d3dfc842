/* What can be asked of a container that exists: signals, freezing, limits, files, execs, removal. */
#ifndef CAISSON_CONTAINER_OPERATIONS_H
#define CAISSON_CONTAINER_OPERATIONS_H

#include <jansson.h>
#include <stdint.h>

#include "core/failure.h"
#include "wire/port.h"

/* These answer by themselves. */
void container_freeze(struct request request, const json_t *params);
void container_remove(struct request request, const json_t *params);
void exec_start(struct request request, const json_t *params);

int container_signal(const json_t *params, struct failure *failure);
int container_update(const json_t *params, struct failure *failure);
int container_file(const json_t *params, struct failure *failure);
/* Its checkpoint goes on as another container. */
int container_rename(const json_t *params, struct failure *failure);

/* Execs whose exit is acknowledged are forgotten. */
void execs_sweep(uint64_t acknowledged);

#endif
