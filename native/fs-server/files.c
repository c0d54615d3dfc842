/* Open files: their bytes, holes and syncing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "handles.h"
#include "names.h"
#include "operation.h"

/** O_APPEND is kept: then writers in several VMs append after each other, whatever offset each one sends. */
static int open_flags(uint32_t flags, bool readonly, int *error) {
    if (readonly && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0))
        *error = EROFS;
    return (int)(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME | O_APPEND));
}

void do_open(struct operation *op) {
    TAKE(struct fuse_open_in, in);
    int error = 0;
    int flags = open_flags(in.flags, op->inode->share->readonly, &error);
    int fd = -1;
    if (error == 0 && op->inode->type != S_IFREG)
        error = ENXIO;
    if (error == 0 && (fd = reopen(op->inode, flags)) < 0)
        error = errno;
    if (error != 0) {
        answer_error(op->in->unique, error);
        return;
    }
    // With AUTO_INVAL_DATA the guest drops its pages when size or mtime have changed; else they may stay.
    struct fuse_open_out out = {.fh = add_handle(op->inode->id, fd, NULL), .open_flags = FOPEN_KEEP_CACHE};
    answer(op->in->unique, 0, &out, sizeof out);
}

void do_create(struct operation *op) {
    TAKE(struct fuse_create_in, in);
    const char *name = take_name(op);
    int error = name == NULL ? EINVAL : 0;
    int flags = open_flags(in.flags, op->inode->share->readonly, &error);
    int fd = -1;
    bool made = true;
    if (error == 0) {
        fd = openat(op->inode->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, in.mode & 07777);
        if (fd < 0 && errno == EEXIST && (in.flags & O_EXCL) == 0) {
            made = false; // made on the host since the guest looked; look at it before opening it
            struct fuse_entry_out entry;
            error = look_up(op->inode, name, &entry);
            struct inode *found = error == 0 ? hold_inode(entry.nodeid) : NULL;
            if (found != NULL && (fd = reopen(found, flags)) < 0)
                error = errno;
            drop_inode(found);
            if (error == 0)
                forget(entry.nodeid, 1);
        } else if (fd < 0) {
            error = errno;
        }
    }
    if (error == 0 && made)
        error = give_to_caller(op->inode->fd, name, op->in, S_IFREG | in.mode);
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    if (error == 0)
        error = look_up(op->inode, name, &out.entry);
    if (error != 0) {
        if (fd >= 0)
            close(fd);
        answer_error(op->in->unique, error);
        return;
    }
    out.open.fh = add_handle(out.entry.nodeid, fd, NULL);
    out.open.open_flags = FOPEN_KEEP_CACHE;
    answer(op->in->unique, 0, &out, sizeof out);
}

void do_read(struct operation *op) {
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

void do_write(struct operation *op) {
    TAKE(struct fuse_write_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    ssize_t length = -1;
    int error = EBADF;
    if (in.size > op->length) {
        error = EINVAL;
    } else if (handle != NULL && handle->dir == NULL) {
        length = pwrite(handle->fd, op->body, in.size, (off_t)in.offset);
        error = errno;
    }
    if (length < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_write_out out = {.size = (uint32_t)length};
        answer(op->in->unique, 0, &out, sizeof out);
    }
    drop_handle(handle, false);
}

void do_statfs(struct operation *op) {
    struct statvfs st;
    if (fstatvfs(op->inode->fd, &st) < 0) {
        answer_error(op->in->unique, errno);
        return;
    }
    struct fuse_statfs_out out = {.st = {.blocks = st.f_blocks,
                                         .bfree = st.f_bfree,
                                         .bavail = st.f_bavail,
                                         .files = st.f_files,
                                         .ffree = st.f_ffree,
                                         .bsize = (uint32_t)st.f_bsize,
                                         .namelen = (uint32_t)st.f_namemax,
                                         .frsize = (uint32_t)st.f_frsize}};
    answer(op->in->unique, 0, &out, sizeof out);
}

void do_release(struct operation *op) {
    TAKE(struct fuse_release_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    drop_handle(handle, true);
    answer_error(op->in->unique, 0);
}

void do_fsync(struct operation *op) {
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

void do_fallocate(struct operation *op) {
    TAKE(struct fuse_fallocate_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    int error = EBADF;
    if (handle != NULL && handle->dir == NULL)
        error = fallocate(handle->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length) < 0 ? errno : 0;
    drop_handle(handle, false);
    answer_error(op->in->unique, error);
}

void do_lseek(struct operation *op) {
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
        struct fuse_lseek_out out = {.offset = (uint64_t)at};
        answer(op->in->unique, 0, &out, sizeof out);
    }
}

void do_copy_file_range(struct operation *op) {
    TAKE(struct fuse_copy_file_range_in, in);
    struct handle *from = hold_handle(in.fh_in, op->inode->id);
    struct handle *to = hold_handle(in.fh_out, in.nodeid_out);
    ssize_t length = -1;
    int error = EBADF;
    if (from != NULL && to != NULL && from->dir == NULL && to->dir == NULL) {
        off_t off_in = (off_t)in.off_in, off_out = (off_t)in.off_out;
        size_t size = in.len > (1u << 30) ? 1u << 30 : (size_t)in.len;
        length = copy_file_range(from->fd, &off_in, to->fd, &off_out, size, 0);
        error = errno;
    }
    drop_handle(from, false);
    drop_handle(to, false);
    if (length < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_write_out out = {.size = (uint32_t)length};
        answer(op->in->unique, 0, &out, sizeof out);
    }
}

void do_syncfs(struct operation *op) {
    int fd = reopen(op->inode, O_RDONLY);
    answer_error(op->in->unique, fd < 0 || syncfs(fd) < 0 ? errno : 0);
    if (fd >= 0)
        close(fd);
}
