/* What the guest is told of a file. */
#ifndef FS_SERVER_ATTRIBUTES_H
#define FS_SERVER_ATTRIBUTES_H

#include <linux/fuse.h>
#include <sys/stat.h>

#include "table/inodes.h"

void fill_entry(struct fuse_entry_out *entry, const struct inode *inode, const struct stat *st);
/* As write(2), truncate(2) and chown(2) do where the guest's process may not keep them; a file's
 * capabilities are the host kernel's to drop. 0 or an errno. */
int drop_set_id_bits(const struct inode *inode);
/* The answer to a question for the attributes of `fd`, which is the inode's own or an open one of it. 0 or an errno. */
int read_attr(const struct inode *inode, int fd, struct fuse_attr_out *out);
/* Answers with the attributes of `fd`, which is the inode's own or an open one of it. */
void answer_attr(uint64_t unique, struct inode *inode, int fd);

#endif
