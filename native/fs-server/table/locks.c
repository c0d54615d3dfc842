/* Locks: open-file-description locks on the host, so that VMs sharing a volume exclude each other. */
#include "table/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/memory.h"
#include "operations/dispatch.h"
#include "table/handles.h"
#include "wire/operation.h"

enum {
    // A guest with more processes than these in waits for locks is told ENOLCK.
    MAX_WAITING = 1024,
};

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
static unsigned waiting_count;

static struct lock_owner *find_owner(const struct inode *inode, uint64_t owner) {
    struct lock_owner *lock = inode->locks;
    while (lock != NULL && lock->owner != owner)
        lock = lock->next;
    return lock;
}

/** find_owner() for a request that comes by this open file. Under table_lock. */
static struct lock_owner *join_owner(const struct inode *inode, uint64_t owner, uint64_t handle) {
    struct lock_owner *lock = find_owner(inode, owner);
    if (lock != NULL) {
        lock->users++;
        lock->handle = handle;
    }
    return lock;
}

/** Takes the carrier of one lock owner's (a process's, or an open file's) locks on an inode. NULL with errno set. */
static struct lock_owner *hold_owner(struct inode *inode, const struct fuse_lk_in *in, bool make) {
    pthread_mutex_lock(&table_lock);
    struct lock_owner *lock = join_owner(inode, in->owner, in->fh);
    pthread_mutex_unlock(&table_lock);
    errno = EBADF;
    // the kernel keeps locks on directories to itself
    if (lock != NULL || !make || inode->type != S_IFREG)
        return lock;
    int fd = reopen(inode, inode->share->readonly ? O_RDONLY : O_RDWR);
    if (fd < 0 && (fd = reopen(inode, O_RDONLY)) < 0)
        return NULL;
    struct lock_owner *made = allocate(sizeof *made);
    *made = (struct lock_owner){.owner = in->owner, .handle = in->fh, .fd = fd, .users = 1};
    pthread_mutex_lock(&table_lock);
    // another thread of the same process may have been faster
    lock = join_owner(inode, in->owner, in->fh);
    if (lock == NULL) {
        made->next = inode->locks;
        inode->locks = lock = made;
        made = NULL;
    }
    pthread_mutex_unlock(&table_lock);
    if (made != NULL) {
        close(made->fd);
        free(made);
    }
    return lock;
}

static void give_up(struct lock_owner *lock) {
    pthread_mutex_lock(&table_lock);
    bool last = --lock->users == 0 && lock->dropped;
    pthread_mutex_unlock(&table_lock);
    if (last) {
        close(lock->fd);
        free(lock);
    }
}

/** Takes the carrier, as by hold_owner(), for end_owner(): off its list, unless it is used. Under table_lock. */
static struct lock_owner *hold_to_end(struct lock_owner **link) {
    struct lock_owner *lock = *link;
    if (lock == NULL)
        return NULL;
    if (lock->users == 0) {
        *link = lock->next;
        lock->dropped = true;
    }
    // what is locked by it from now on has nothing to do with the open file that ends
    lock->handle = 0;
    lock->users++;
    return lock;
}

/** Lets go of what its locks hold. Who waits by it still gets what it waits for: then it stays. */
static void end_owner(struct lock_owner *lock) {
    if (!lock->dropped)
        fcntl(lock->fd, F_OFD_SETLK, &(struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET});
    give_up(lock);
}

static void drop_locks(struct inode *inode, uint64_t owner) {
    pthread_mutex_lock(&table_lock);
    struct lock_owner **link = &inode->locks;
    while (*link != NULL && (*link)->owner != owner)
        link = &(*link)->next;
    struct lock_owner *lock = hold_to_end(link);
    pthread_mutex_unlock(&table_lock);
    if (lock != NULL)
        end_owner(lock);
}

void release_locks(struct inode *inode, uint64_t handle) {
    for (struct lock_owner *lock = NULL;; end_owner(lock)) {
        pthread_mutex_lock(&table_lock);
        struct lock_owner **link = &inode->locks;
        while (*link != NULL && (*link)->handle != handle)
            link = &(*link)->next;
        lock = hold_to_end(link);
        pthread_mutex_unlock(&table_lock);
        if (lock == NULL)
            return;
    }
}

static struct flock to_flock(const struct fuse_file_lock *lock) {
    struct flock out = {.l_type = (short)lock->type, .l_whence = SEEK_SET, .l_start = (off_t)lock->start};
    out.l_len = lock->end >= (uint64_t)INT64_MAX ? 0 : (off_t)(lock->end - lock->start + 1);
    return out;
}

void do_getlk(struct operation *op) {
    TAKE(struct fuse_lk_in, in);
    struct flock lock = to_flock(&in.lk);
    struct lock_owner *owner = hold_owner(op->inode, &in, true);
    int error = owner == NULL || fcntl(owner->fd, F_OFD_GETLK, &lock) < 0 ? errno : 0;
    if (owner != NULL)
        give_up(owner);
    if (error != 0) {
        answer_error(op->in->unique, error);
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
    struct lock_owner *owner = hold_owner(op->inode, in, lock.l_type != F_UNLCK);
    if (owner == NULL)
        return lock.l_type == F_UNLCK ? 0 : errno;
    int error = fcntl(owner->fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0 ? errno : 0;
    give_up(owner);
    return error;
}

int restore_lock(struct inode *inode, uint64_t owner, uint64_t handle, const struct flock *lock) {
    struct lock_owner *holder = hold_owner(inode, &(struct fuse_lk_in){.owner = owner, .fh = handle}, true);
    if (holder == NULL)
        return errno;
    struct flock copy = *lock;
    int error = fcntl(holder->fd, F_OFD_SETLK, &copy) < 0 ? errno : 0;
    give_up(holder);
    return error;
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

static void remove_waiting(struct waiting *item) {
    pthread_mutex_lock(&waiting_lock);
    struct waiting **link = &waiting_list;
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    waiting_count--;
    pthread_mutex_unlock(&waiting_lock);
    free(item);
}

static void *wait_for_lock(void *argument) {
    struct waiting *item = argument;
    pthread_mutex_lock(&waiting_lock);
    item->thread = pthread_self();
    item->started = true;
    pthread_mutex_unlock(&waiting_lock);
    handle_request(item->request);
    remove_waiting(item);
    return NULL;
}

static void refuse_waiting(struct request *request, uint64_t unique, int error) {
    answer_error(unique, error);
    finish_request(request);
}

void start_waiting(struct request *request) {
    uint64_t unique = ((const struct fuse_in_header *)(const void *)request->bytes)->unique;
    // it is kept as long as it waits
    if (request->length > sizeof(struct fuse_in_header) + sizeof(struct fuse_lk_in)) {
        refuse_waiting(request, unique, EINVAL);
        return;
    }
    pthread_mutex_lock(&waiting_lock);
    bool full = waiting_count == MAX_WAITING;
    waiting_count += full ? 0 : 1;
    pthread_mutex_unlock(&waiting_lock);
    if (full) {
        refuse_waiting(request, unique, ENOLCK);
        return;
    }
    struct waiting *item = allocate(sizeof *item);
    item->request = request;
    item->unique = unique;
    pthread_mutex_lock(&waiting_lock);
    item->next = waiting_list;
    waiting_list = item;
    pthread_mutex_unlock(&waiting_lock);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    int error = pthread_create(&thread, &attributes, wait_for_lock, item);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        remove_waiting(item);
        refuse_waiting(request, unique, ENOLCK);
    }
}

static void wake_up(int signal_number) {
    (void)signal_number; // only to make a blocking lock return EINTR
}

void prepare_interrupts(void) {
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = wake_up}, NULL);
}
