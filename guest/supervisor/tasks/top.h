/* The container's processes, as Debian's ps lists them, which is brought along with the supervisor. */
#ifndef CAISSON_TASKS_TOP_H
#define CAISSON_TASKS_TOP_H

#include "tasks/task-run.h"

/* `psArgs`. Writes the pids of the container's processes in a line, then what ps says. EINVAL with what ps complained of. */
task_run top_run;

#endif
