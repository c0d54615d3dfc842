/* The agent and its jobs hand each other bytes through pipes. On two CPUs each handful of bytes wakes the other one up,
 * which an emulated machine pays dearly for; on one CPU a pipe is filled, then emptied. */
#include "affinity.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "log.h"

static void set(const cpu_set_t *cpus)
{
    if (sched_setaffinity(0, sizeof(*cpus), cpus) < 0)
        log_line("CPUs could not be chosen: %s", strerror(errno));
}

void affinity_keep_to_one(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    set(&first);
}

void affinity_any(void)
{
    cpu_set_t all;
    memset(&all, 0xff, sizeof(all));
    set(&all);
}
