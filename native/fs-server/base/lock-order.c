#include "base/lock-order.h"

#ifdef CHECK_LOCK_ORDER

#include <stdlib.h>

#include "base/memory.h"

/* A bit for each rank that this thread holds. */
static _Thread_local unsigned held;

void note_taken(enum lock_rank rank)
{
    if (held >> rank != 0) {
        complain("fs-server: lock %d is taken by a thread that has %#x", (int)rank, held);
        abort();
    }
    held |= 1u << rank;
}

void note_given(enum lock_rank rank)
{
    if ((held >> rank & 1) == 0) {
        complain("fs-server: lock %d is given back by a thread that has %#x", (int)rank, held);
        abort();
    }
    held &= ~(1u << rank);
}

#else

void note_taken(enum lock_rank rank)
{
    (void)rank;
}

void note_given(enum lock_rank rank)
{
    (void)rank;
}

#endif

struct lock *take_lock(struct lock *lock)
{
    note_taken(lock->rank);
    pthread_mutex_lock(&lock->mutex);
    return lock;
}

bool try_lock(struct lock *lock)
{
    if (pthread_mutex_trylock(&lock->mutex) != 0)
        return false;
    note_taken(lock->rank);
    return true;
}

void give_lock(struct lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
    note_given(lock->rank);
}

void wait_under(struct lock *lock, pthread_cond_t *condition)
{
    pthread_cond_wait(condition, &lock->mutex);
}
