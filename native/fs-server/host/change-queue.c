#include "host/change-queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock-order.h"
#include "base/memory.h"
#include "wire/transport.h"

enum {
    /* A guest that falls behind by more misses some. */
    MAX_QUEUED = 4096,
};

struct queued {
    struct queued *next;
    struct queued_change item;
};

static struct lock lock = LOCK_OF(LOCK_CHANGES);
static struct queued *first, **last = &first;
static const struct queued *newest;
static unsigned queued_count;
/* The read that waits for a change; 0 for none. */
static uint64_t waiting;
/* The guest's thread that does changes again; 0 until it has asked for the first. */
static _Atomic uint32_t replayer;
/* What it does now. Only its own requests look at it, and it makes one at a time: all the same under the lock, for guests that
 * lie. */
static struct queued_change current;

/* Hands the oldest change to the read that waits. Under the lock. */
static void hand_over(void)
{
    if (waiting == 0 || first == NULL)
        return;
    struct queued *oldest = first;
    first = oldest->next;
    if (first == NULL) {
        last = &first;
        newest = NULL;
    }
    queued_count--;
    current = oldest->item;
    free(oldest);
    answer(waiting, 0, &current.change, sizeof(current.change));
    waiting = 0;
}

void queue_change(const struct share_change *change, uint64_t known)
{
    auto_lock changing = take_lock(&lock);
    bool again = newest != NULL && memcmp(&newest->item.change, change, sizeof(*change)) == 0;
    if (again || queued_count == MAX_QUEUED)
        return;
    struct queued *added = allocate(sizeof(*added));
    added->item = (struct queued_change){ .change = *change, .known = known };
    *last = added;
    last = &added->next;
    newest = added;
    queued_count++;
    hand_over();
}

void await_change(uint32_t thread, uint64_t unique)
{
    auto_lock changing = take_lock(&lock);
    replayer = thread;
    current = (struct queued_change){ 0 };
    if (waiting != 0)
        answer_error(waiting, EINTR);
    waiting = unique;
    hand_over();
}

bool is_replaying(uint32_t thread, struct queued_change *now)
{
    if (replayer == 0 || thread != replayer)
        return false;
    auto_lock looking = take_lock(&lock);
    *now = current;
    return true;
}
