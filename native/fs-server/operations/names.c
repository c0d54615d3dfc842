#include "operations/names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/identity.h"
#include "operations/attributes.h"
#include "operations/operations.h"
#include "table/descriptors.h"

int adopt_entry(int fd, struct share *share, const struct trust *trust, struct fuse_entry_out *entry)
{
    struct stat st;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
        int error = errno;
        close(fd);
        return error;
    }
    struct inode *inode = adopt_inode(fd, &st, share);
    if (trust != NULL && trusts(trust))
        inode->named_in_marked = true;
    fill_entry(entry, inode, &st);
    drop_inode(inode);
    return 0;
}

int look_up(struct inode *parent, const char *name, const struct trust *trust, struct fuse_entry_out *entry)
{
    if (parent->type != S_IFDIR)
        return ENOTDIR;
    int fd = guest_descriptor(openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (fd < 0)
        return errno;
    return adopt_entry(fd, parent->share, trust, entry);
}

static void answer_entry(uint64_t unique, struct inode *parent, const char *name)
{
    struct fuse_entry_out entry;
    struct trust trust = trust_names(parent);
    int error = look_up(parent, name, &trust, &entry);
    if (error == ENOENT && trusts(&trust)) {
        entry = (struct fuse_entry_out){ 0 };
        error = 0;
    }
    if (error != 0)
        answer_error(unique, error);
    else
        answer_trusted(unique, &trust, TELLS_ENTRY, &entry, sizeof(entry));
}

void do_lookup(struct operation *op)
{
    const char *name = take_name(op);
    if (name == NULL)
        answer_error(op->in->unique, ENOENT);
    else
        answer_entry(op->in->unique, op->inode, name);
}

void do_readlink(struct operation *op)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(op->inode->fd, "", target, sizeof(target));
    if (length < 0)
        answer_error(op->in->unique, errno);
    else
        answer(op->in->unique, 0, target, (size_t)length);
}

/* Answers a request to make something: `result` is the system call's, errno its error. */
static void finish_make(struct operation *op, const char *name, int result)
{
    int error = result < 0 ? errno : 0;
    leave_caller();
    if (error != 0)
        answer_error(op->in->unique, error);
    else
        answer_entry(op->in->unique, op->inode, name);
}

void do_symlink(struct operation *op)
{
    const char *name = take_name(op);
    const char *target = name != NULL ? take_string(op) : NULL;
    if (target == NULL) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    enter_caller(op->in, 0);
    finish_make(op, name, symlinkat(target, op->inode->fd, name));
}

void do_mknod(struct operation *op)
{
    TAKE(struct fuse_mknod_in, in);
    const char *name = take_name(op);
    dev_t device = makedev((in.rdev >> 8) & 0xfff, (in.rdev & 0xff) | ((in.rdev >> 12) & 0xfff00));
    if (name == NULL) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    enter_caller(op->in, in.umask);
    finish_make(op, name, mknodat(op->inode->fd, name, in.mode, device));
}

void do_mkdir(struct operation *op)
{
    TAKE(struct fuse_mkdir_in, in);
    const char *name = take_name(op);
    if (name == NULL) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    enter_caller(op->in, in.umask);
    finish_make(op, name, mkdirat(op->inode->fd, name, in.mode & 07777));
}

void do_remove(struct operation *op, int flags)
{
    const char *name = take_name(op);
    if (name == NULL)
        answer_error(op->in->unique, EINVAL);
    else
        answer_error(op->in->unique, unlinkat(op->inode->fd, name, flags) < 0 ? errno : 0);
}

void do_rename(struct operation *op, uint64_t new_parent, unsigned flags)
{
    const char *name = take_name(op);
    const char *new_name = name != NULL ? take_name(op) : NULL;
    struct inode *target = hold_inode(new_parent);
    int error = 0;
    if (new_name == NULL || target == NULL)
        error = EINVAL;
    else if (target->share != op->inode->share)
        error = EXDEV;
    else if (syscall(SYS_renameat2, op->inode->fd, name, target->fd, new_name, flags) < 0)
        error = errno;
    drop_inode(target);
    answer_error(op->in->unique, error);
}

void do_link(struct operation *op)
{
    TAKE(struct fuse_link_in, in);
    const char *name = take_name(op);
    struct inode *source = hold_inode(in.oldnodeid);
    int error = 0;
    if (name == NULL || source == NULL) {
        error = EINVAL;
    } else if (source->share != op->inode->share) {
        error = EXDEV;
    } else {
        struct fd_path path = path_of(source);
        if (linkat(AT_FDCWD, path.text, op->inode->fd, name, AT_SYMLINK_FOLLOW) < 0)
            error = errno;
    }
    drop_inode(source);
    if (error != 0)
        answer_error(op->in->unique, error);
    else
        answer_entry(op->in->unique, op->inode, name);
}
