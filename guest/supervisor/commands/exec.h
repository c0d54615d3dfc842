/* Further processes beside the command, and jobs of the supervisor's own: each has a session for its streams. */
#ifndef CAISSON_EXEC_H
#define CAISSON_EXEC_H

#include <jansson.h>

#include "core/failure.h"
#include "sessions/session.h"

/* Request `exec`: answers by itself. */
void exec_start(struct session *session, const json_t *params);
/* Request `job`: what `run` does in a child, its streams in the session. */
void exec_job(struct session *session, const json_t *params,
              int (*run)(const json_t *params, char *message, size_t message_size));
/* What became of one, or NULL with `failure`. */
json_t *exec_state(const json_t *params, struct failure *failure);
int exec_signal(const char *id, int signal, struct failure *failure);
int exec_resize(const char *id, uint16_t rows, uint16_t columns, struct failure *failure);

#endif
