/* What is left of a container when its command has ended is killed, as by the kernel when a PID namespace's first process ends. */
#ifndef CAISSON_SWEEP_H
#define CAISSON_SWEEP_H

#include <stdbool.h>
#include <sys/types.h>

/* Calls `visit` for each process in the namespace that is none of the supervisor's own. */
void sweep_visit(void (*visit)(pid_t pid, void *argument), void *argument);
/* Kills them. True: there were some. */
bool sweep_kill(void);

#endif
