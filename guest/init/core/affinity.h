/* On which of the VM's CPUs the agent runs, and what it starts. */
#ifndef CAISSON_AFFINITY_H
#define CAISSON_AFFINITY_H

#include <sys/types.h>

/* One CPU for the caller and for what it starts from now on. */
void affinity_keep_to_one(void);
/* All CPUs again. */
void affinity_any(void);
/* One CPU, or all (-1), for a thread of any process. */
void affinity_of_thread(pid_t thread, int cpu);

#endif
