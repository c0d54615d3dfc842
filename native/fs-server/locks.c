/* Locks: open-file-description locks on the host, so that VMs sharing a volume exclude each other. */
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "dispatch.h"
#include "handles.h"
#include "memory.h"
#include "operation.h"

/** A request that waits for a lock, in a thread of its own. */
struct waiting {
    struct waiting *next;
    struct request *request;
    uint64_t unique;
    pthread_t thread;
    bool started;
};

static pthread_mutex_t waiting_lock = PTHREAD_MUTEX_INITIALIZER;
static struct waiting *waiting_list;

/** The descriptor that carries one POSIX lock owner's locks on an inode. -1 with errno set. */
static int lock_fd(struct inode *inode, uint64_t owner, bool make) {
    pthread_mutex_lock(&table_lock);
    struct lock_owner *lock = inode->locks;
    while (lock != NULL && lock->owner != owner)
        lock = lock->next;
    int fd = lock != NULL ? lock->fd : -1;
    pthread_mutex_unlock(&table_lock);
    if (fd >= 0 || !make) {
        errno = EBADF;
        return fd;
    }
    fd = reopen(inode, inode->share->readonly ? O_RDONLY : O_RDWR);
    if (fd < 0)
        return -1;
    lock = allocate(sizeof *lock);
    *lock = (struct lock_owner){.owner = owner, .fd = fd};
    pthread_mutex_lock(&table_lock);
    lock->next = inode->locks;
    inode->locks = lock;
    pthread_mutex_unlock(&table_lock);
    return fd;
}

static void drop_locks(struct inode *inode, uint64_t owner) {
    pthread_mutex_lock(&table_lock);
    for (struct lock_owner **link = &inode->locks; *link != NULL; link = &(*link)->next) {
        if ((*link)->owner == owner) {
            struct lock_owner *lock = *link;
            *link = lock->next;
            close(lock->fd);
            free(lock);
            break;
        }
    }
    pthread_mutex_unlock(&table_lock);
}

static struct flock to_flock(const struct fuse_file_lock *lock) {
    struct flock out = {.l_type = (short)lock->type, .l_whence = SEEK_SET, .l_start = (off_t)lock->start};
    out.l_len = lock->end >= (uint64_t)INT64_MAX ? 0 : (off_t)(lock->end - lock->start + 1);
    return out;
}

void do_getlk(struct operation *op) {
    TAKE(struct fuse_lk_in, in);
    struct flock lock = to_flock(&in.lk);
    int fd = lock_fd(op->inode, in.owner, true);
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0) {
        answer_error(op->in->unique, errno);
        return;
    }
    struct fuse_lk_out out = {.lk = {.type = (uint32_t)lock.l_type, .pid = 0}};
    if (lock.l_type != F_UNLCK) {
        out.lk.start = (uint64_t)lock.l_start;
        out.lk.end = lock.l_len == 0 ? (uint64_t)INT64_MAX : (uint64_t)(lock.l_start + lock.l_len - 1);
    }
    answer(op->in->unique, 0, &out, sizeof out);
}

static int set_lock(struct operation *op, const struct fuse_lk_in *in, bool wait) {
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
    int fd = lock_fd(op->inode, in->owner, lock.l_type != F_UNLCK);
    if (fd < 0)
        return lock.l_type == F_UNLCK ? 0 : errno;
    return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0 ? errno : 0;
}

void do_setlk(struct operation *op, bool wait) {
    TAKE(struct fuse_lk_in, in);
    answer_error(op->in->unique, set_lock(op, &in, wait));
}

void do_flush(struct operation *op) {
    TAKE(struct fuse_flush_in, in);
    // close(2) gives up the process's POSIX locks on the file
    drop_locks(op->inode, in.lock_owner);
    answer_error(op->in->unique, 0);
}

/**
 * INTERRUPT is for lock waits only: everything else ends by itself soon. The signal may come just before the
 * thread blocks, so it is repeated until the wait is over.
 */
void interrupt_waiting(uint64_t unique) {
    for (int tries = 0; tries < 200; tries++) {
        pthread_mutex_lock(&waiting_lock);
        struct waiting *item = waiting_list;
        while (item != NULL && item->unique != unique)
            item = item->next;
        if (item != NULL && item->started)
            pthread_kill(item->thread, SIGUSR1);
        pthread_mutex_unlock(&waiting_lock);
        if (item == NULL)
            return;
        usleep(1000);
    }
}

static void *wait_for_lock(void *argument) {
    struct waiting *item = argument;
    pthread_mutex_lock(&waiting_lock);
    item->thread = pthread_self();
    item->started = true;
    pthread_mutex_unlock(&waiting_lock);
    handle_request(item->request);
    pthread_mutex_lock(&waiting_lock);
    struct waiting **link = &waiting_list;
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    pthread_mutex_unlock(&waiting_lock);
    free(item);
    return NULL;
}

void start_waiting(struct request *request) {
    struct waiting *item = allocate(sizeof *item);
    item->request = request;
    item->unique = ((const struct fuse_in_header *)(const void *)request->bytes)->unique;
    pthread_mutex_lock(&waiting_lock);
    item->next = waiting_list;
    waiting_list = item;
    pthread_mutex_unlock(&waiting_lock);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    if (pthread_create(&thread, &attributes, wait_for_lock, item) != 0) {
        pthread_mutex_lock(&waiting_lock);
        waiting_list = item->next; // nobody else adds to the list
        pthread_mutex_unlock(&waiting_lock);
        answer_error(item->unique, ENOLCK);
        free(request);
        free(item);
    }
    pthread_attr_destroy(&attributes);
}

static void wake_up(int signal_number) {
    (void)signal_number; // only to make a blocking lock return EINTR
}

void prepare_interrupts(void) {
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = wake_up}, NULL);
}
