/* A container's file system as Docker's own operations see it: the root with volumes and the files that the daemon gives,
 * without what is mounted for the container's processes alone (tmpfs, /proc, /dev). */
#ifndef CAISSON_CONTAINER_VIEW_H
#define CAISSON_CONTAINER_VIEW_H

#include "core/failure.h"

struct container;

/* In a process of its own: makes a mount namespace with the view in it. Returns a descriptor of its root, or -errno. The
 * process's own root and /proc stay the VM's. */
int container_view_open(const struct container *container, struct failure *failure);

#endif
