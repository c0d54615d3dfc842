/* core: what the agent stands on and what knows nothing of containers: the loop, the log, failures, a request's fields, work in
 * helpers, namespaces.
 *
 * The one place that blocks: an epoll loop over descriptors and timers. */
#include "core/loop.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "core/log.h"

#define BATCH 32

static int epoll = -1;
static struct epoll_event batch[BATCH];
static int batch_count;
static struct timer *timers; /* soonest first */

void loop_open(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll: %s", strerror(errno));
}

static int control(int operation, struct source *source, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = source };
    return epoll_ctl(epoll, operation, source->fd, &event) == 0 ? 0 : -errno;
}

int loop_add(struct source *source, uint32_t events)
{
    int result = control(EPOLL_CTL_ADD, source, events);
    source->watched = result == 0;
    return result;
}

int loop_change(struct source *source, uint32_t events)
{
    return control(EPOLL_CTL_MOD, source, events);
}

void loop_remove(struct source *source)
{
    if (!source->watched)
        return;
    source->watched = false;
    epoll_ctl(epoll, EPOLL_CTL_DEL, source->fd, NULL);
    for (int i = 0; i < batch_count; i++)
        if (batch[i].data.ptr == source)
            batch[i].data.ptr = NULL;
}

int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void timer_stop(struct timer *timer)
{
    if (!timer->armed)
        return;
    timer->armed = false;
    for (struct timer **link = &timers; *link != NULL; link = &(*link)->next)
        if (*link == timer) {
            *link = timer->next;
            return;
        }
}

void timer_start(struct timer *timer, int64_t milliseconds)
{
    timer_stop(timer);
    timer->due = monotonic_ms() + milliseconds;
    timer->armed = true;
    struct timer **link = &timers;
    while (*link != NULL && (*link)->due <= timer->due)
        link = &(*link)->next;
    timer->next = *link;
    *link = timer;
}

static int wait_ms(void)
{
    if (timers == NULL)
        return -1;
    int64_t left = timers->due - monotonic_ms();
    if (left <= 0)
        return 0;
    return left > 3600000 ? 3600000 : (int)left;
}

static void fire_due(void)
{
    while (timers != NULL && timers->due <= monotonic_ms()) {
        struct timer *timer = timers;
        timers = timer->next;
        timer->armed = false;
        timer->fire(timer);
    }
}

void loop_run(void (*idle)(void))
{
    for (;;) {
        idle();
        batch_count = epoll_wait(epoll, batch, BATCH, wait_ms());
        for (int i = 0; i < batch_count; i++) {
            struct source *source = batch[i].data.ptr;
            if (source != NULL)
                source->ready(source, batch[i].events);
        }
        batch_count = 0;
        fire_due();
    }
}
