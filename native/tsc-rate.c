/* Prints the rate of this machine's time stamp counter in kHz, measured against the raw monotonic clock.
 *
 * Guests under emulation see the host's counter and can't calibrate it by themselves. /proc/cpuinfo tells the
 * current clock of a core, which is another number on most real machines. */

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct sample {
    uint64_t ticks;
    int64_t nanoseconds;
};

/* The best of several: the one in which nothing came between the two clocks. */
static struct sample take(void)
{
    struct sample best = { 0 };
    uint64_t best_span = UINT64_MAX;
    for (int attempt = 0; attempt < 64; attempt++) {
        struct timespec now;
        uint64_t before = __rdtsc();
        clock_gettime(CLOCK_MONOTONIC_RAW, &now);
        uint64_t span = __rdtsc() - before;
        if (span >= best_span)
            continue;
        best_span = span;
        best = (struct sample){ before + span / 2, now.tv_sec * INT64_C(1000000000) + now.tv_nsec };
    }
    return best;
}

int main(void)
{
    const struct timespec pause = { .tv_nsec = 100000000 };
    struct sample start = take();
    nanosleep(&pause, NULL);
    struct sample end = take();
    double milliseconds = (double)(end.nanoseconds - start.nanoseconds) / 1e6;
    printf("%.0f\n", (double)(end.ticks - start.ticks) / milliseconds);
    return 0;
}
