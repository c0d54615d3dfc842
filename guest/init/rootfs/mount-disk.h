/* Disks and the directories that they are mounted on, in the VM's own mount namespace. */
#ifndef CAISSON_MOUNT_DISK_H
#define CAISSON_MOUNT_DISK_H

#include "core/failure.h"

struct disk_spec;

/* Mounts the disk, which may only just have appeared. */
int mount_disk(const struct disk_spec *disk, const char *target, const char *type, unsigned long flags,
               const char *data, struct failure *failure);
/* A directory to mount on; it may be there. */
int mount_point_make(const char *path, struct failure *failure);
/* Unmounts what is there, if anything is, and removes the directory. Returns 0 or -errno. */
int mount_point_remove(const char *path, int flags);
/* Removes a directory of the agent's own with the few files in it. */
void small_tree_remove(const char *directory);

#endif
