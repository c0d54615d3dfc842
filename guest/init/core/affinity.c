/* The agent and its jobs hand each other bytes through pipes. On two CPUs each handful of bytes wakes the other one up,
 * which an emulated machine pays dearly for; on one CPU a pipe is filled, then emptied. */
#include "core/affinity.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "core/log.h"

void affinity_of_thread(pid_t thread, int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    if (cpu < 0)
        memset(&cpus, 0xff, sizeof(cpus));
    else
        CPU_SET((size_t)cpu, &cpus);
    if (sched_setaffinity(thread, sizeof(cpus), &cpus) < 0)
        log_line("CPUs could not be chosen: %s", strerror(errno));
}

void affinity_keep_to_one(void)
{
    affinity_of_thread(0, 0);
}

void affinity_any(void)
{
    affinity_of_thread(0, -1);
}
