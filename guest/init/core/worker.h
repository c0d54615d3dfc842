/* Work that may block on a disk, done by a forked copy of the agent so that PID 1 never waits. */
#ifndef CAISSON_WORKER_H
#define CAISSON_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/failure.h"

/* Runs `work` in a child: it returns 0, or -errno with `failure` filled, and may write to standard output. `done` is
 * called in the agent, with what was written (at most 4 MiB) and the failure or NULL. Returns 0 or -errno. */
int worker_run(int (*work)(void *argument, struct failure *failure),
               void (*done)(void *argument, const char *output, size_t length, const struct failure *failure),
               void *argument);
bool worker_reaped(pid_t pid, int wait_status);

#endif
