/* What each file of operations has to offer, for dispatch.c: every do_ function answers exactly once. */
#ifndef FS_SERVER_OPERATIONS_H
#define FS_SERVER_OPERATIONS_H

#include "table/inodes.h"
#include "wire/operation.h"

/* root.c: INIT, and the virtual directory of the shares */
void do_init(struct operation *op);
void do_root(struct operation *op);

/* attributes.c */
void do_getattr(struct operation *op);
void do_setattr(struct operation *op);

/* names.c */
void do_lookup(struct operation *op);
void do_readlink(struct operation *op);
void do_symlink(struct operation *op);
void do_mknod(struct operation *op);
void do_mkdir(struct operation *op);
void do_link(struct operation *op);
/* `flags`: unlinkat's. */
void do_remove(struct operation *op, int flags);
/* `flags`: renameat2's. */
void do_rename(struct operation *op, uint64_t new_parent, unsigned flags);

/* files.c */
void do_open(struct operation *op);
void do_create(struct operation *op);
void do_read(struct operation *op);
void do_write(struct operation *op);
void do_release(struct operation *op);
void do_fsync(struct operation *op);
void do_fallocate(struct operation *op);
void do_lseek(struct operation *op);
void do_copy_file_range(struct operation *op);
void do_statfs(struct operation *op);
void do_syncfs(struct operation *op);

/* directories.c */
void do_opendir(struct operation *op);
void do_readdir(struct operation *op, bool plus);

/* xattrs.c */
void do_setxattr(struct operation *op);
void do_getxattr(struct operation *op);
void do_listxattr(struct operation *op);
void do_removexattr(struct operation *op);

/* locking.c */
void do_getlk(struct operation *op);
void do_flush(struct operation *op);
void do_setlk(struct operation *op, bool wait);

#endif
