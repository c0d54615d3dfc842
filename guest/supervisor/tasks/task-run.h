/* One of the supervisor's own works: in a child, whose standard streams are those of the session. */
#ifndef CAISSON_TASK_RUN_H
#define CAISSON_TASK_RUN_H

#include <jansson.h>
#include <stddef.h>

/* Returns 0, or -errno and a message. */
typedef int task_run(const json_t *params, char *message, size_t message_size);

#endif
