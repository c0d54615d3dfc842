/* The one place that blocks: an epoll loop over descriptors and timers. Callbacks run one at a time. */
#ifndef CAISSON_LOOP_H
#define CAISSON_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct source {
    int fd;
    void (*ready)(struct source *source, uint32_t events);
    bool watched;
};

struct timer {
    int64_t due; /* CLOCK_MONOTONIC milliseconds */
    void (*fire)(struct timer *timer);
    struct timer *next;
    bool armed;
};

void loop_open(void);
/* `events` as epoll's. The caller keeps the descriptor. Returns 0 or -errno. */
int loop_add(struct source *source, uint32_t events);
int loop_change(struct source *source, uint32_t events);
/* After this the source's callback is not called again, not even for events already fetched. Harmless twice. */
void loop_remove(struct source *source);

void timer_start(struct timer *timer, int64_t milliseconds);
void timer_stop(struct timer *timer);
int64_t monotonic_ms(void);

/* Runs for ever; calls `idle` after every batch of callbacks, before blocking. */
__attribute__((noreturn)) void loop_run(void (*idle)(void));

#endif
