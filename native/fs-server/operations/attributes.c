#include "operations/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host/trust.h"
#include "operations/operations.h"
#include "table/devices.h"
#include "table/handles.h"

static void fill_attr(struct fuse_attr *attr, const struct stat *st)
{
    *attr = (struct fuse_attr){
        .ino = guest_ino(st->st_dev, st->st_ino),
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .atime = (uint64_t)st->st_atim.tv_sec,
        .mtime = (uint64_t)st->st_mtim.tv_sec,
        .ctime = (uint64_t)st->st_ctim.tv_sec,
        .atimensec = (uint32_t)st->st_atim.tv_nsec,
        .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .rdev =
            (uint32_t)((major(st->st_rdev) << 8) | (minor(st->st_rdev) & 0xff) | ((minor(st->st_rdev) & ~0xffu) << 12)),
        .blksize = (uint32_t)st->st_blksize,
    };
}

void fill_entry(struct fuse_entry_out *entry, const struct inode *inode, const struct stat *st)
{
    unsigned valid = inode->share->cache_milliseconds;
    uint64_t seconds = valid / 1000;
    uint32_t nanoseconds = valid % 1000 * 1000000;
    *entry = (struct fuse_entry_out){ .nodeid = inode->id,
                                      .entry_valid = seconds,
                                      .attr_valid = seconds,
                                      .entry_valid_nsec = nanoseconds,
                                      .attr_valid_nsec = nanoseconds };
    fill_attr(&entry->attr, st);
}

int read_attr(const struct inode *inode, int fd, struct fuse_attr_out *out)
{
    struct stat st;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    unsigned valid = inode->share->cache_milliseconds;
    *out = (struct fuse_attr_out){ .attr_valid = valid / 1000, .attr_valid_nsec = valid % 1000 * 1000000 };
    fill_attr(&out->attr, &st);
    return 0;
}

void answer_attr(uint64_t unique, struct inode *inode, int fd)
{
    struct fuse_attr_out out;
    struct trust trust = trust_attributes(inode);
    int error = read_attr(inode, fd, &out);
    if (error != 0)
        answer_error(unique, error);
    else
        answer_trusted(unique, &trust, TELLS_ATTRIBUTES, &out, sizeof(out));
}

void do_getattr(struct operation *op)
{
    answer_attr(op->in->unique, op->inode, op->inode->fd);
}

int drop_set_id_bits(const struct inode *inode)
{
    struct stat st;
    if (fstatat(inode->fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    mode_t gone = (st.st_mode & S_IXGRP) != 0 ? S_ISUID | S_ISGID : S_ISUID;
    if (!S_ISREG(st.st_mode) || (st.st_mode & gone) == 0)
        return 0;
    if (chmod(path_of(inode).text, st.st_mode & 07777 & ~gone) < 0)
        return errno;
    end_trust_in_attributes(inode);
    return 0;
}

void do_setattr(struct operation *op)
{
    TAKE(struct fuse_setattr_in, in);
    uint64_t unique = op->in->unique;
    struct inode *inode = op->inode;
    struct handle *handle = (in.valid & FATTR_FH) != 0 ? hold_handle(in.fh, inode->id) : NULL;
    struct fd_path path = path_of(inode);
    int error = 0;
    if ((in.valid & FATTR_MODE) != 0 && chmod(path.text, in.mode & 07777) < 0)
        error = errno;
    if (error == 0 && (in.valid & (FATTR_UID | FATTR_GID)) != 0) {
        uid_t uid = (in.valid & FATTR_UID) != 0 ? in.uid : (uid_t)-1;
        gid_t gid = (in.valid & FATTR_GID) != 0 ? in.gid : (gid_t)-1;
        if (fchownat(inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
            error = errno;
    }
    if (error == 0 && (in.valid & FATTR_SIZE) != 0) {
        if (handle != NULL && handle->dir == NULL) {
            if (ftruncate(handle->fd, (off_t)in.size) < 0)
                error = errno;
        } else {
            int fd = reopen(inode, O_WRONLY);
            if (fd < 0 || ftruncate(fd, (off_t)in.size) < 0)
                error = errno;
            if (fd >= 0)
                close(fd);
        }
    }
    /* With nothing to set it is chown(2) to nobody else, or what comes before fallocate(2): they take these bits away. */
    bool nothing = (in.valid & ~(uint32_t)(FATTR_FH | FATTR_LOCKOWNER)) == 0;
    if (error == 0 && (nothing || ((in.valid & FATTR_KILL_SUIDGID) != 0 && (in.valid & FATTR_MODE) == 0)))
        error = drop_set_id_bits(inode);
    if (error == 0 && (in.valid & (FATTR_ATIME | FATTR_MTIME)) != 0) {
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
        if ((in.valid & FATTR_ATIME_NOW) != 0)
            times[0].tv_nsec = UTIME_NOW;
        else if ((in.valid & FATTR_ATIME) != 0)
            times[0] = (struct timespec){ (time_t)in.atime, (long)in.atimensec };
        if ((in.valid & FATTR_MTIME_NOW) != 0)
            times[1].tv_nsec = UTIME_NOW;
        else if ((in.valid & FATTR_MTIME) != 0)
            times[1] = (struct timespec){ (time_t)in.mtime, (long)in.mtimensec };
        if (utimensat(AT_FDCWD, path.text, times, 0) < 0)
            error = errno;
    }
    drop_handle(handle, false);
    if (error != 0)
        answer_error(unique, error);
    else
        answer_attr(unique, inode, inode->fd);
}
