/* Extended attributes. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/memory.h"
#include "operations/attributes.h"
#include "operations/operations.h"

/* Attributes a guest may keep on the host's files; trusted.* and the host's own labels stay out of its
 * reach. */
static bool is_shared_xattr(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
           strncmp(name, "system.posix_acl_", 17) == 0;
}

/* A file has none of that name; or there can be none (xattr(7)). */
static int missing_xattr(const char *name)
{
    return strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0 ? ENODATA : EOPNOTSUPP;
}

void do_setxattr(struct operation *op)
{
    TAKE(struct setxattr_in, in);
    const char *name = take_string(op);
    struct fd_path path = path_of(op->inode);
    if (name == NULL || in.size > op->length)
        answer_error(op->in->unique, EINVAL);
    else if (!is_shared_xattr(name))
        answer_error(op->in->unique, EOPNOTSUPP);
    else
        answer_error(op->in->unique, setxattr(path.text, name, op->body, in.size, (int)in.flags) < 0 ? errno : 0);
}

static void answer_xattr(struct operation *op, uint32_t wanted, ssize_t length, const char *data)
{
    if (length < 0) {
        answer_error(op->in->unique, errno);
    } else if (wanted == 0) {
        struct fuse_getxattr_out out = { .size = (uint32_t)length };
        answer(op->in->unique, 0, &out, sizeof(out));
    } else {
        answer(op->in->unique, 0, data, (size_t)length);
    }
}

void do_getxattr(struct operation *op)
{
    TAKE(struct fuse_getxattr_in, in);
    const char *name = take_string(op);
    struct fd_path path = path_of(op->inode);
    if (name == NULL || in.size > XATTR_SIZE_MAX) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    if (!is_shared_xattr(name)) {
        answer_error(op->in->unique, missing_xattr(name));
        return;
    }
    char *data = allocate((size_t)in.size + 1);
    answer_xattr(op, in.size, getxattr(path.text, name, data, in.size), data);
    free(data);
}

void do_listxattr(struct operation *op)
{
    TAKE(struct fuse_getxattr_in, in);
    struct fd_path path = path_of(op->inode);
    char *all = allocate(XATTR_LIST_MAX);
    ssize_t length = listxattr(path.text, all, XATTR_LIST_MAX);
    size_t kept = 0;
    for (ssize_t at = 0; at < length;) {
        size_t size = strlen(all + at) + 1;
        if (is_shared_xattr(all + at)) {
            memmove(all + kept, all + at, size);
            kept += size;
        }
        at += (ssize_t)size;
    }
    if (length >= 0 && in.size != 0 && kept > in.size)
        answer_error(op->in->unique, ERANGE);
    else
        answer_xattr(op, in.size, length < 0 ? -1 : (ssize_t)kept, all);
    free(all);
}

void do_removexattr(struct operation *op)
{
    const char *name = take_string(op);
    struct fd_path path = path_of(op->inode);
    if (name == NULL || !is_shared_xattr(name))
        answer_error(op->in->unique, name == NULL ? EINVAL : missing_xattr(name));
    else
        answer_error(op->in->unique, removexattr(path.text, name) < 0 ? errno : 0);
}
