#include "table/locks.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"

static void free_owner(struct lock_owner *lock)
{
    close(lock->fd);
    free(lock);
}

static struct lock_owner *find_owner(const struct inode *inode, uint64_t owner)
{
    struct lock_owner *lock = inode->locks;
    while (lock != NULL && lock->owner != owner)
        lock = lock->next;
    return lock;
}

/* find_owner() for a request that comes by this open file. Under table_lock. */
static struct lock_owner *join_owner(const struct inode *inode, uint64_t owner, uint64_t handle)
{
    struct lock_owner *lock = find_owner(inode, owner);
    if (lock != NULL) {
        lock->users++;
        lock->handle = handle;
    }
    return lock;
}

static struct lock_owner *find_and_join(const struct inode *inode, uint64_t owner, uint64_t handle)
{
    auto_lock looking = take_lock(&table_lock);
    return join_owner(inode, owner, handle);
}

struct lock_owner *hold_owner(struct inode *inode, uint64_t owner, uint64_t handle, bool make)
{
    struct lock_owner *lock = find_and_join(inode, owner, handle);
    errno = EBADF;
    /* the kernel keeps locks on directories to itself */
    if (lock != NULL || !make || inode->type != S_IFREG)
        return lock;
    int fd = reopen(inode, inode->share->readonly ? O_RDONLY : O_RDWR);
    if (fd < 0 && (fd = reopen(inode, O_RDONLY)) < 0)
        return NULL;
    struct lock_owner *made = allocate(sizeof(*made));
    *made = (struct lock_owner){ .owner = owner, .handle = handle, .fd = fd, .users = 1 };
    take_lock(&table_lock);
    /* another thread of the same process may have been faster */
    lock = join_owner(inode, owner, handle);
    if (lock == NULL) {
        made->next = inode->locks;
        inode->locks = lock = made;
        made = NULL;
    }
    give_lock(&table_lock);
    if (made != NULL)
        free_owner(made);
    return lock;
}

void give_up_owner(struct lock_owner *lock)
{
    take_lock(&table_lock);
    bool last = --lock->users == 0 && lock->dropped;
    give_lock(&table_lock);
    if (last)
        free_owner(lock);
}

/* Takes the carrier, as by hold_owner(), for end_owner(): off its list, unless it is used. Under table_lock. */
static struct lock_owner *hold_to_end(struct lock_owner **link)
{
    struct lock_owner *lock = *link;
    if (lock == NULL)
        return NULL;
    if (lock->users == 0) {
        *link = lock->next;
        lock->dropped = true;
    }
    /* what is locked by it from now on has nothing to do with the open file that ends */
    lock->handle = 0;
    lock->users++;
    return lock;
}

/* Lets go of what its locks hold. Who waits by it still gets what it waits for: then it stays. */
static void end_owner(struct lock_owner *lock)
{
    if (!lock->dropped)
        fcntl(lock->fd, F_OFD_SETLK, &(struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET });
    give_up_owner(lock);
}

void drop_locks(struct inode *inode, uint64_t owner)
{
    take_lock(&table_lock);
    struct lock_owner **link = &inode->locks;
    while (*link != NULL && (*link)->owner != owner)
        link = &(*link)->next;
    struct lock_owner *lock = hold_to_end(link);
    give_lock(&table_lock);
    if (lock != NULL)
        end_owner(lock);
}

void release_locks(struct inode *inode, uint64_t handle)
{
    for (struct lock_owner *lock = NULL;; end_owner(lock)) {
        take_lock(&table_lock);
        struct lock_owner **link = &inode->locks;
        while (*link != NULL && (*link)->handle != handle)
            link = &(*link)->next;
        lock = hold_to_end(link);
        give_lock(&table_lock);
        if (lock == NULL)
            return;
    }
}

int restore_lock(struct inode *inode, uint64_t owner, uint64_t handle, const struct flock *lock)
{
    struct lock_owner *holder = hold_owner(inode, owner, handle, true);
    if (holder == NULL)
        return errno;
    struct flock copy = *lock;
    int error = fcntl(holder->fd, F_OFD_SETLK, &copy) < 0 ? errno : 0;
    give_up_owner(holder);
    return error;
}
