/* The locks of this process, and the order in which they are taken: who holds one takes only those that come after it in
 * the list below. What is really taken under what:
 *
 *   COMMANDS ─▶ WATCHES ─▶ CHANGES ─▶ SENDING
 *   WATCHES, TAKING, POSITION, HELD ─▶ MARKS ─▶ TABLE
 *   TAKING ─▶ WAITING, GATE, SENDING
 *   HELD ─▶ GATE, SENDING
 *
 * HELD is no mutex: it is what a thread has between hold_guest() and release_guest(), while whoever wants to send anything
 * waits, perhaps with WATCHES and CHANGES in its hands. So the thread that has it takes neither.
 *
 * TABLE and SENDING are taken for every request: under TABLE nothing is done that may block, not even close(2), and under SENDING
 * only what the guest has to read in one piece is written.
 *
 * The checked build (CHECK_LOCK_ORDER) ends the process when a thread breaks the order. */
#ifndef FS_SERVER_LOCK_ORDER_H
#define FS_SERVER_LOCK_ORDER_H

#include <pthread.h>
#include <stdbool.h>

enum lock_rank {
    LOCK_COMMANDS, /* the daemon's commands on shares, one by one: control/control.c */
    LOCK_TAKING,   /* the guest's bytes on the socket: wire/transport.c */
    LOCK_POSITION, /* where one open directory is read: table/handles.h */
    LOCK_WATCHES,  /* what the guest watches: host/watches.c */
    LOCK_CHANGES,  /* what the guest has yet to be told of that: host/change-queue.c */
    LOCK_HELD,     /* the guest is held: wire/transport.c */
    LOCK_MARKS,    /* of which directories the host tells: host/trust.c */
    LOCK_WAITING,  /* requests that wait for a lock on a file: wire/waiting.c */
    LOCK_GATE,     /* whether the guest is to be held: wire/transport.c */
    LOCK_TABLE,    /* what has a number: table/, host/shares.c, the marks of host/trust.c */
    LOCK_SENDING,  /* answers and notices on the socket: wire/transport.c */
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};
#define LOCK_OF(which)                                      \
    {                                                       \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (which) \
    }

/* Returns the lock. */
struct lock *take_lock(struct lock *lock);
/* True if nobody else has it. */
bool try_lock(struct lock *lock);
void give_lock(struct lock *lock);
/* As pthread_cond_wait(3). */
void wait_under(struct lock *lock, pthread_cond_t *condition);

/* For what is held like a lock and is none. */
void note_taken(enum lock_rank rank);
void note_given(enum lock_rank rank);

static inline void give_auto_lock(struct lock **lock)
{
    give_lock(*lock);
}
/* `auto_lock held = take_lock(&lock);`: given back at the end of the scope. */
#define auto_lock __attribute__((cleanup(give_auto_lock))) struct lock *

#endif
