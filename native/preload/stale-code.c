/* Preloaded into a QEMU that emulates: code of the guest that QEMU has translated wrongly is forgotten.
 *
 * QEMU before 8.1 can translate code while another of the guest's processors writes it: it reads the old bytes, and marks the page
 * as one with translations too late to notice the write. Linux rewrites its own code each time a static key changes (the first
 * container with a CPU limit, a firewall rule, a tracer), with a breakpoint in the place meanwhile. A processor that goes on with
 * the translated breakpoint takes it for ever, often with a lock of the scheduler: the guest stands still, at full load. Nothing
 * inside can help, but all is well once the translations are made again. One of some hundred changes ends like that.
 *
 * So they are forgotten now and then, by the time that QEMU has had a processor, since a guest that stands still like that takes all it
 * gets; one that waits costs nothing. The thread is one of QEMU's for forkable.c, which starts it in a child as it does the others. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* QEMU's: forgets all translations, once no processor is within one. May be called by any thread. */
static void (*flush)(void *cpu);
/* Leads to QEMU's first processor; NULL as long as there is none. */
static void **first_cpu;
/* Of CPU time, until the translations are made again: what that costs is within the noise of what a guest does in it. */
static const int64_t interval_ms = 5000;

static int64_t milliseconds(clockid_t clock)
{
    struct timespec time = { 0 };
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void *watch(void *nothing)
{
    const struct timespec pause = { .tv_sec = 1 };
    int64_t flushed = 0;
    for (;;) {
        nanosleep(&pause, NULL);
        int64_t now = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
        if (now < flushed)
            flushed = 0; /* a child of the seed, whose time begins anew */
        if (now - flushed < interval_ms || *first_cpu == NULL)
            continue;
        flushed = now;
        flush(*first_cpu);
    }
    return nothing;
}

__attribute__((constructor)) static void begin(void)
{
    void *found = dlsym(RTLD_DEFAULT, "tb_flush");
    memcpy(&flush, &found, sizeof(found));
    first_cpu = dlsym(RTLD_DEFAULT, "cpus");
    if (flush == NULL || first_cpu == NULL)
        return;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, watch, NULL) == 0)
        pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
