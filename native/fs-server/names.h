/* Names in directories. */
#ifndef FS_SERVER_NAMES_H
#define FS_SERVER_NAMES_H

#include <linux/fuse.h>

#include "operation.h"

/** Looks `name` up below `parent`; 0 or an errno. Counts a lookup. */
int look_up(struct inode *parent, const char *name, struct fuse_entry_out *entry);
/** A new file belongs to the process that made it, unless a setgid directory decides on the group. */
int give_to_caller(int parent_fd, const char *name, const struct fuse_in_header *in, mode_t mode);

#endif
