#include "wire/waiting.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/lock-order.h"
#include "base/memory.h"

enum {
    /* A guest with more processes than these in waits for locks is told ENOLCK. */
    MAX_WAITING = 1024,
};

/* A request that waits for a lock, in a thread of its own. */
struct waiting {
    struct waiting *next;
    struct request *request;
    void (*handle)(struct request *request);
    uint64_t unique;
    pthread_t thread;
    bool started;
};

static struct lock waiting_lock = LOCK_OF(LOCK_WAITING);
static struct waiting *waiting_list;
static unsigned waiting_count;

/* INTERRUPT is for lock waits only: everything else ends by itself soon. The signal may come just before the
 * thread blocks, so it is repeated until the wait is over. */
void interrupt_waiting(uint64_t unique)
{
    for (int tries = 0; tries < 200; tries++) {
        take_lock(&waiting_lock);
        struct waiting *item = waiting_list;
        while (item != NULL && item->unique != unique)
            item = item->next;
        if (item != NULL && item->started)
            pthread_kill(item->thread, SIGUSR1);
        give_lock(&waiting_lock);
        if (item == NULL)
            return;
        usleep(1000);
    }
}

static void remove_waiting(struct waiting *item)
{
    take_lock(&waiting_lock);
    struct waiting **link = &waiting_list;
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    waiting_count--;
    give_lock(&waiting_lock);
    free(item);
}

static void *wait_for_lock(void *argument)
{
    struct waiting *item = argument;
    take_lock(&waiting_lock);
    item->thread = pthread_self();
    item->started = true;
    give_lock(&waiting_lock);
    item->handle(item->request);
    remove_waiting(item);
    return NULL;
}

static void refuse_waiting(struct request *request, uint64_t unique, int error)
{
    answer_error(unique, error);
    finish_request(request);
}

void start_waiting(struct request *request, void (*handle)(struct request *request))
{
    uint64_t unique = ((const struct fuse_in_header *)(const void *)request->bytes)->unique;
    /* it is kept as long as it waits */
    if (request->length > sizeof(struct fuse_in_header) + sizeof(struct fuse_lk_in)) {
        refuse_waiting(request, unique, EINVAL);
        return;
    }
    take_lock(&waiting_lock);
    bool full = waiting_count == MAX_WAITING;
    waiting_count += full ? 0 : 1;
    give_lock(&waiting_lock);
    if (full) {
        refuse_waiting(request, unique, ENOLCK);
        return;
    }
    struct waiting *item = allocate(sizeof(*item));
    item->request = request;
    item->handle = handle;
    item->unique = unique;
    take_lock(&waiting_lock);
    item->next = waiting_list;
    waiting_list = item;
    give_lock(&waiting_lock);
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

static void wake_up(int signal_number)
{
    (void)signal_number; /* only to make a blocking lock return EINTR */
}

void prepare_interrupts(void)
{
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = wake_up }, NULL);
}
