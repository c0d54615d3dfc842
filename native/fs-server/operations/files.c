/* Open files: their bytes, holes and syncing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file-systems.h"
#include "base/identity.h"
#include "operations/attributes.h"
#include "operations/names.h"
#include "operations/operations.h"
#include "table/descriptors.h"
#include "table/handles.h"
#include "table/locks.h"

/* Without O_APPEND: each WRITE says whether it appends, and what was written to a mapping has its place in any case. */
static int open_flags(uint32_t flags, bool readonly, int *error)
{
    if (readonly && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0))
        *error = EROFS;
    return (int)(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME));
}

/* What the guest may do with the open file by itself. With AUTO_INVAL_DATA it drops its pages when size or mtime have changed;
 * else they may stay. What is only appended to goes past them: on its way through pages a write may be cut in two, between which
 * another VM appends. Not so one that is read too: it could not be mapped then. What the kernel makes up when it is read has no
 * size, or always the same. */
static uint32_t caching(int fd, uint32_t flags)
{
    bool only_appended = (flags & O_APPEND) != 0 && (flags & O_ACCMODE) == O_WRONLY;
    return FOPEN_KEEP_CACHE | (only_appended || is_made_up(fd) ? FOPEN_DIRECT_IO : 0);
}

/* Opens as OPEN and CREATE want it; -1 and errno. */
static int open_as_asked(const struct inode *inode, int flags, uint32_t fuse_flags)
{
    int fd = reopen(inode, flags);
    /* it comes with what truncates, and only that may change a file here */
    bool kills = (fuse_flags & FUSE_OPEN_KILL_SUIDGID) != 0 && (flags & O_TRUNC) != 0;
    if (fd >= 0 && kills && (errno = drop_set_id_bits(inode)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

void do_open(struct operation *op)
{
    TAKE(struct fuse_open_in, in);
    int error = 0;
    int flags = open_flags(in.flags, op->inode->share->readonly, &error);
    int fd = -1;
    if (error == 0 && op->inode->type != S_IFREG)
        error = ENXIO;
    if (error == 0 && (fd = open_as_asked(op->inode, flags, in.open_flags)) < 0)
        error = errno;
    if (error != 0) {
        answer_error(op->in->unique, error);
        return;
    }
    struct fuse_open_out out = { .open_flags = caching(fd, in.flags) };
    out.fh = add_handle(op->inode->id, fd, NULL);
    if (out.fh == 0)
        answer_error(op->in->unique, ENFILE);
    else
        answer(op->in->unique, 0, &out, sizeof(out));
}

/* Makes and opens a file that must not be there; the descriptor, or -1 and errno. */
static int make_file(struct operation *op, const char *name, int flags, const struct fuse_create_in *in)
{
    if (!has_descriptors())
        return -1;
    enter_caller(op->in, in->umask);
    int fd = openat(op->inode->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, in->mode & 07777);
    int error = errno;
    leave_caller();
    errno = error;
    return fd;
}

void do_create(struct operation *op)
{
    TAKE(struct fuse_create_in, in);
    const char *name = take_name(op);
    int error = name == NULL ? EINVAL : 0;
    int flags = open_flags(in.flags, op->inode->share->readonly, &error);
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = { 0 };
    int fd = -1;
    struct trust trust = trust_names(op->inode);
    if (error == 0 && (fd = make_file(op, name, flags, &in)) >= 0) {
        /* by the descriptor: the name may lead to another file already */
        int path_fd = open(fd_path(fd).text, O_PATH | O_CLOEXEC);
        error = path_fd < 0 ? errno : adopt_entry(path_fd, op->inode->share, &trust, &out.entry);
    } else if (error == 0 && errno == EEXIST && (in.flags & O_EXCL) == 0) {
        /* made by somebody else since the guest looked: it is looked at before it is opened */
        error = look_up(op->inode, name, &trust, &out.entry);
        struct inode *found = error == 0 ? hold_inode(out.entry.nodeid) : NULL;
        if (found != NULL && (fd = open_as_asked(found, flags, in.open_flags)) < 0) {
            error = errno;
            forget(out.entry.nodeid, 1);
        }
        drop_inode(found);
    } else if (error == 0) {
        error = errno;
    }
    if (error == 0)
        out.open.open_flags = caching(fd, in.flags);
    if (error == 0 && (out.open.fh = add_handle(out.entry.nodeid, fd, NULL)) == 0) {
        forget(out.entry.nodeid, 1);
        error = ENFILE;
    } else if (error != 0 && fd >= 0) {
        close(fd);
    }
    if (error != 0)
        answer_error(op->in->unique, error);
    else
        answer_trusted(op->in->unique, &trust, TELLS_ENTRY, &out, sizeof(out));
}

void do_read(struct operation *op)
{
    TAKE(struct fuse_read_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    size_t size = in.size > MAX_WRITE ? MAX_WRITE : in.size;
    char *data = handle != NULL && handle->dir == NULL ? malloc(size + 1) : NULL;
    ssize_t length = data != NULL ? pread(handle->fd, data, size, (off_t)in.offset) : -1;
    if (length < 0)
        answer_error(op->in->unique, data == NULL ? EBADF : errno);
    else
        answer(op->in->unique, 0, data, (size_t)length);
    free(data);
    drop_handle(handle, false);
}

/* Appends if the file is open so now (fcntl(2) may have changed it), after what other VMs have written, whatever the guest takes
 * for the end. Pages of the guest's cache go where they belong. */
static ssize_t write_to(int fd, const struct fuse_write_in *in, const void *data)
{
    bool appends = (in->flags & O_APPEND) != 0 && (in->write_flags & FUSE_WRITE_CACHE) == 0;
    struct iovec part = { (void *)(uintptr_t)data, in->size };
    return pwritev2(fd, &part, 1, (off_t)in->offset, appends ? RWF_APPEND : 0);
}

void do_write(struct operation *op)
{
    TAKE(struct fuse_write_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    ssize_t length = -1;
    int error = EBADF;
    if (in.size > op->length) {
        error = EINVAL;
    } else if (handle != NULL && handle->dir == NULL) {
        error = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0 ? drop_set_id_bits(op->inode) : 0;
        length = error == 0 ? write_to(handle->fd, &in, op->body) : -1;
        error = error == 0 ? errno : error;
    }
    if (length < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_write_out out = { .size = (uint32_t)length };
        answer(op->in->unique, 0, &out, sizeof(out));
    }
    drop_handle(handle, false);
}

void do_statfs(struct operation *op)
{
    struct statvfs st;
    if (fstatvfs(op->inode->fd, &st) < 0) {
        answer_error(op->in->unique, errno);
        return;
    }
    struct fuse_statfs_out out = { .st = { .blocks = st.f_blocks,
                                           .bfree = st.f_bfree,
                                           .bavail = st.f_bavail,
                                           .files = st.f_files,
                                           .ffree = st.f_ffree,
                                           .bsize = (uint32_t)st.f_bsize,
                                           .namelen = (uint32_t)st.f_namemax,
                                           .frsize = (uint32_t)st.f_frsize } };
    answer(op->in->unique, 0, &out, sizeof(out));
}

void do_release(struct operation *op)
{
    TAKE(struct fuse_release_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    if (handle != NULL)
        release_locks(op->inode, in.fh);
    drop_handle(handle, true);
    answer_error(op->in->unique, 0);
}

void do_fsync(struct operation *op)
{
    TAKE(struct fuse_fsync_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    int error = EBADF;
    if (handle != NULL) {
        int fd = handle->dir != NULL ? dirfd(handle->dir) : handle->fd;
        bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
        error = (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? errno : 0;
    }
    drop_handle(handle, false);
    answer_error(op->in->unique, error);
}

void do_fallocate(struct operation *op)
{
    TAKE(struct fuse_fallocate_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    int error = EBADF;
    if (handle != NULL && handle->dir == NULL)
        error = fallocate(handle->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length) < 0 ? errno : 0;
    drop_handle(handle, false);
    answer_error(op->in->unique, error);
}

void do_lseek(struct operation *op)
{
    TAKE(struct fuse_lseek_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    off_t at = -1;
    int error = EBADF;
    if (handle != NULL && handle->dir == NULL) {
        bool sparse = in.whence == SEEK_DATA || in.whence == SEEK_HOLE;
        at = sparse ? lseek(handle->fd, (off_t)in.offset, (int)in.whence) : -1;
        error = sparse ? errno : EINVAL;
    }
    drop_handle(handle, false);
    if (at < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_lseek_out out = { .offset = (uint64_t)at };
        answer(op->in->unique, 0, &out, sizeof(out));
    }
}

void do_copy_file_range(struct operation *op)
{
    TAKE(struct fuse_copy_file_range_in, in);
    struct handle *from = hold_handle(in.fh_in, op->inode->id);
    struct handle *to = hold_handle(in.fh_out, in.nodeid_out);
    struct inode *target = hold_inode(in.nodeid_out);
    ssize_t length = -1;
    int error = EBADF;
    if (target == NULL) {
        error = EBADF; /* whose it is, and whether it may be written, is not known any more */
    } else if (target->share->readonly) {
        error = EROFS;
    } else if (from != NULL && to != NULL && from->dir == NULL && to->dir == NULL) {
        off_t off_in = (off_t)in.off_in, off_out = (off_t)in.off_out;
        size_t size = in.len > (1u << 30) ? 1u << 30 : (size_t)in.len;
        length = copy_file_range(from->fd, &off_in, to->fd, &off_out, size, 0);
        error = errno;
    }
    drop_handle(from, false);
    drop_handle(to, false);
    drop_inode(target);
    if (length < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_write_out out = { .size = (uint32_t)length };
        answer(op->in->unique, 0, &out, sizeof(out));
    }
}

void do_syncfs(struct operation *op)
{
    int fd = reopen(op->inode, O_RDONLY);
    answer_error(op->in->unique, fd < 0 || syncfs(fd) < 0 ? errno : 0);
    if (fd >= 0)
        close(fd);
}
