/* Bind mounts onto paths inside a container's root. */
#ifndef CAISSON_BIND_H
#define CAISSON_BIND_H

#include "core/failure.h"
#include "paths/mount-options.h"

/* /proc/self/fd/N of a descriptor: its name for mount(2). */
struct fd_path {
    char text[32];
};
struct fd_path path_of(int fd);

/* Binds `source`, a path of the VM's, onto `target` below `root`, which is made if it is missing, and sets the options. */
int bind_onto(const char *source, int root, const char *target, const struct mount_options *options,
              struct failure *failure);

#endif
