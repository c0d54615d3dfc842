/* Locks on files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "operations/operations.h"
#include "table/handles.h"
#include "table/locks.h"

static struct flock to_flock(const struct fuse_file_lock *lock)
{
    struct flock out = { .l_type = (short)lock->type, .l_whence = SEEK_SET, .l_start = (off_t)lock->start };
    out.l_len = lock->end >= (uint64_t)INT64_MAX ? 0 : (off_t)(lock->end - lock->start + 1);
    return out;
}

void do_getlk(struct operation *op)
{
    TAKE(struct fuse_lk_in, in);
    struct flock lock = to_flock(&in.lk);
    struct lock_owner *owner = hold_owner(op->inode, in.owner, in.fh, true);
    int error = owner == NULL || fcntl(owner->fd, F_OFD_GETLK, &lock) < 0 ? errno : 0;
    if (owner != NULL)
        give_up_owner(owner);
    if (error != 0) {
        answer_error(op->in->unique, error);
        return;
    }
    struct fuse_lk_out out = { .lk = { .type = (uint32_t)lock.l_type, .pid = 0 } };
    if (lock.l_type != F_UNLCK) {
        out.lk.start = (uint64_t)lock.l_start;
        out.lk.end = lock.l_len == 0 ? (uint64_t)INT64_MAX : (uint64_t)(lock.l_start + lock.l_len - 1);
    }
    answer(op->in->unique, 0, &out, sizeof(out));
}

static int set_lock(struct operation *op, const struct fuse_lk_in *in, bool wait)
{
    if ((in->lk_flags & FUSE_LK_FLOCK) != 0) {
        struct handle *handle = hold_handle(in->fh, op->inode->id);
        int how = in->lk.type == F_RDLCK ? LOCK_SH : in->lk.type == F_WRLCK ? LOCK_EX : LOCK_UN;
        int error = EBADF;
        if (handle != NULL && handle->dir == NULL)
            error = flock(handle->fd, how | (wait ? 0 : LOCK_NB)) < 0 ? errno : 0;
        drop_handle(handle, false);
        return error;
    }
    struct flock lock = to_flock(&in->lk);
    struct lock_owner *owner = hold_owner(op->inode, in->owner, in->fh, lock.l_type != F_UNLCK);
    if (owner == NULL)
        return lock.l_type == F_UNLCK ? 0 : errno;
    int error = fcntl(owner->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0 ? errno : 0;
    give_up_owner(owner);
    return error;
}

void do_setlk(struct operation *op, bool wait)
{
    TAKE(struct fuse_lk_in, in);
    answer_error(op->in->unique, set_lock(op, &in, wait));
}

void do_flush(struct operation *op)
{
    TAKE(struct fuse_flush_in, in);
    /* close(2) gives up the process's POSIX locks on the file */
    drop_locks(op->inode, in.lock_owner);
    answer_error(op->in->unique, 0);
}
