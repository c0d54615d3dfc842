/* What a container has mounted in the VM's own mount namespace. */
#ifndef CAISSON_CONTAINER_MOUNTS_H
#define CAISSON_CONTAINER_MOUNTS_H

#include <stdbool.h>

#include "core/failure.h"

struct container;

/* Reads which disks there are to be. */
int container_disks_read(struct container *container, struct failure *failure);
/* Whether all of them are there; else `missing` is the LUN of one that isn't. */
bool container_disks_ready(const struct container *container, int *missing);
/* In a process of its own: the root and the trees, mounted until container_unmount. The working directory changes. */
int container_mount(const struct container *container, struct failure *failure);
/* What was written to disks that are not thrown away is on them. Returns 0 or -errno. */
int container_sync_trees(const struct container *container);
/* Harmless twice. Returns 0 or -errno. */
int container_unmount(const struct container *container, int flags);

#endif
