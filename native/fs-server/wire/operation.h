/* One request, and what each file of operations has to offer. Every do_ function answers exactly once. */
#ifndef FS_SERVER_OPERATION_H
#define FS_SERVER_OPERATION_H

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "table/inodes.h"
#include "wire/transport.h"

struct operation {
    const struct fuse_in_header *in;
    // What is left of the request.
    const unsigned char *body;
    size_t length;
    // The file it is about; NULL only for INIT and the virtual root.
    struct inode *inode;
};

/** True once, at the start: we run as root and can give files to others. */
extern bool privileged;

/** One component that stays in its directory. */
bool is_plain_name(const char *name);
/** The next zero-terminated string of the body, or NULL if the guest did not end it. */
const char *take_string(struct operation *op);
/** The next string, if it is a plain name; else NULL. */
const char *take_name(struct operation *op);

/** Of SETXATTR: without FUSE_SETXATTR_EXT only the first two members of the kernel's structure are sent. */
struct setxattr_in {
    uint32_t size, flags;
};

/** Declares `variable` and takes it from the body; answers EINVAL and returns when the guest sent too little.
 */
#define TAKE(type, variable)                                                                                 \
    type variable;                                                                                           \
    if (op->length < sizeof variable) {                                                                      \
        answer_error(op->in->unique, EINVAL);                                                                \
        return;                                                                                              \
    }                                                                                                        \
    memcpy(&variable, op->body, sizeof variable);                                                            \
    op->body += sizeof variable;                                                                             \
    op->length -= sizeof variable

/* root.c: INIT, and the virtual directory of the shares */
void do_init(struct operation *op);
void do_root(struct operation *op);

/* attributes.c */
void do_setattr(struct operation *op);

/* names.c */
void do_lookup(struct operation *op);
void do_readlink(struct operation *op);
void do_symlink(struct operation *op);
void do_mknod(struct operation *op);
void do_mkdir(struct operation *op);
void do_link(struct operation *op);
/** `flags`: unlinkat's. */
void do_remove(struct operation *op, int flags);
/** `flags`: renameat2's. */
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

/* locks.c */
void do_getlk(struct operation *op);
void do_flush(struct operation *op);
void do_setlk(struct operation *op, bool wait);

#endif
