/* Shared memory that outlives whoever made it: tmpfs in the VM's own mount namespace, bound into containers. */
#ifndef CAISSON_SHARED_MEMORY_H
#define CAISSON_SHARED_MEMORY_H

#include <jansson.h>

#include "core/failure.h"

/* The Pod's own. */
#define POD_SHM "/run/pod-shm"

/* Mounts it at `path` as `options` of the container's mount say, and makes `directory`, the container's. Harmless if they are
 * there. */
int shared_memory_make(const char *directory, const char *path, const json_t *entry, struct failure *failure);
/* The Pod's own goes with it. */
void shared_memory_drop_pod(void);

#endif
