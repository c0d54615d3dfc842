/* Paths of a client in a container, cleaned and evaluated as Docker does. */
#ifndef CAISSON_CONTAINER_PATH_H
#define CAISSON_CONTAINER_PATH_H

#include <stddef.h>

/* Follows every symbolic link inside `root`, also the last; what does not exist is taken as it is. Returns 0 or -errno. */
int container_path_evaluate(int root, const char *path, char *resolved, size_t size);
/* Opens an absolute path below `root`; nothing leads out of it. Returns a descriptor or -errno. */
int container_path_open(int root, const char *path, int flags);

#endif
