/* Work on a container's files: docker cp, diff, export and commit. */
#ifndef CAISSON_JOB_H
#define CAISSON_JOB_H

#include <jansson.h>

#include "wire/port.h"

/* Operation job.start. Answers by itself. */
void job_start(struct request request, const json_t *params);
/* A new connection, or the end of the Pod: who wanted them is gone. */
void jobs_kill(void);

#endif
