/* The container's counters, from its cgroup as it sees it. */
#ifndef CAISSON_TASKS_STATS_H
#define CAISSON_TASKS_STATS_H

#include "tasks/task-run.h"

/* Writes them in the shape of ContainerStats in src/vm/contract/protocol.ts. */
task_run stats_run;

#endif
