/* docker diff and commit: what the container has changed. Its layer can't be seen from within, so the names that the image has are listed before
 * the command runs for the first time, and what has changed since is told by the times that the kernel keeps. */
#ifndef CAISSON_TASKS_MANIFEST_H
#define CAISSON_TASKS_MANIFEST_H

#include "tasks/task-run.h"

/* Begins to list, in a child, unless there is a list already. The start of the command need not wait: it takes milliseconds. */
void manifest_begin(const char *directory);
/* Writes records, each ended by NUL: A, C or D, then the path. */
task_run changes_run;
/* Writes `{"bytes":N}`: what of files is new or changed. */
task_run usage_run;
/* Writes a layer: what has changed or is new, and a whiteout for what is gone. */
task_run layer_run;

#endif
