/* A daemon that comes up goes before others for a moment (src/daemon/start-priority.ts); what it starts then and leaves running
 * must not for ever. */
#ifndef CAISSON_INCLUDE_USUAL_PRIORITY_H
#define CAISSON_INCLUDE_USUAL_PRIORITY_H

#include <sys/resource.h>

/* Nothing for who is not ahead, and no error that would matter. */
static inline void take_usual_priority(void)
{
    if (getpriority(PRIO_PROCESS, 0) < 0)
        setpriority(PRIO_PROCESS, 0, 0);
}

#endif
