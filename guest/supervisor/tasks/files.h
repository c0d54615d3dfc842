/* docker cp and export, in the container's own file system. */
#ifndef CAISSON_TASKS_FILES_H
#define CAISSON_TASKS_FILES_H

#include "tasks/task-run.h"

/* `path`: what place_describe says of it. */
task_run stat_run;
/* `path`, under the name `name`, as a tar. */
task_run archive_run;
/* A tar, unpacked in the directory `path`; options as the agent's job of this kind has them. */
task_run extract_run;
/* All there is, but nothing of what is mounted. */
task_run export_run;

#endif
