/* On which of the VM's CPUs the agent runs, and what it starts. */
#ifndef CAISSON_AFFINITY_H
#define CAISSON_AFFINITY_H

/* One CPU for the caller and for what it starts from now on. */
void affinity_keep_to_one(void);
/* All CPUs again. */
void affinity_any(void);

#endif
