/* One request that is to be answered, and how its parts are taken from it. */
#ifndef FS_SERVER_OPERATION_H
#define FS_SERVER_OPERATION_H

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/transport.h"

struct inode;

struct operation {
    const struct fuse_in_header *in;
    /* What is left of the request. */
    const unsigned char *body;
    size_t length;
    /* The file it is about; NULL only for INIT and the virtual root. */
    struct inode *inode;
};

/* One component that stays in its directory. */
bool is_plain_name(const char *name);
/* The next zero-terminated string of the body, or NULL if the guest did not end it. */
const char *take_string(struct operation *op);
/* The next string, if it is a plain name; else NULL. */
const char *take_name(struct operation *op);

/* Of SETXATTR: without FUSE_SETXATTR_EXT only the first two members of the kernel's structure are sent. */
struct setxattr_in {
    uint32_t size, flags;
};

/* Declares `variable` and takes it from the body; answers EINVAL and returns when the guest sent too little. */
#define TAKE(type, variable)                       \
    type variable;                                 \
    if (op->length < sizeof(variable)) {           \
        answer_error(op->in->unique, EINVAL);      \
        return;                                    \
    }                                              \
    memcpy(&variable, op->body, sizeof(variable)); \
    op->body += sizeof(variable);                  \
    op->length -= sizeof(variable)

#endif
