/* Names in directories. */
#ifndef FS_SERVER_NAMES_H
#define FS_SERVER_NAMES_H

#include <linux/fuse.h>

#include "host/trust.h"
#include "wire/operation.h"

/* Looks `name` up below `parent`; 0 or an errno. Counts a lookup. `trust`: in the parent's names, or NULL. */
int look_up(struct inode *parent, const char *name, const struct trust *trust, struct fuse_entry_out *entry);
/* Tells the guest of the file of `fd` (O_PATH, consumed); 0 or an errno. Counts a lookup. */
int adopt_entry(int fd, struct share *share, const struct trust *trust, struct fuse_entry_out *entry);

#endif
