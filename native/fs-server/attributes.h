/* What the guest is told of a file. */
#ifndef FS_SERVER_ATTRIBUTES_H
#define FS_SERVER_ATTRIBUTES_H

#include <linux/fuse.h>
#include <sys/stat.h>

#include "inodes.h"

void fill_entry(struct fuse_entry_out *entry, const struct inode *inode, const struct stat *st);
/** Answers with the attributes of `fd`, which is the inode's own or an open one of it. */
void answer_attr(uint64_t unique, const struct inode *inode, int fd);

#endif
