/* tasks: the supervisor's own work beside the command: archives in and out, changed files, processes, counters. */
#ifndef CAISSON_TASK_H
#define CAISSON_TASK_H

#include "tasks/task-run.h"

/* NULL: there is none of this kind. */
task_run *task_find(const char *kind);

#endif
