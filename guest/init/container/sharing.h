/* What containers of a Pod have in common beyond namespaces: shared memory, and the files that the daemon gives. */
#ifndef CAISSON_SHARING_H
#define CAISSON_SHARING_H

#include "core/failure.h"

struct container;

/* Before the container's first process is made: mounts of type `shm` become binds of a tmpfs in the VM's own mount
 * namespace (made if need be), and files with `of` get the path of that container's. */
int sharing_resolve(struct container *container, struct failure *failure);

#endif
