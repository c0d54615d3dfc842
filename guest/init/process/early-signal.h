/* A signal that comes before a first process could say what it wants of it. */
#ifndef CAISSON_EARLY_SIGNAL_H
#define CAISSON_EARLY_SIGNAL_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether the kernel would drop the signal, as the process is the first of its namespace and does not catch it, and whether it may still
 * come to that: it has not waited for anything yet. */
bool signal_is_early(pid_t pid, int signal);

#endif
