/* The container's command: started when told, again and again; what it writes and what becomes of it is in the log. */
#ifndef CAISSON_COMMAND_H
#define CAISSON_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/failure.h"
#include "records/record-log.h"
#include "sessions/session.h"

void command_open(struct record_log *log);
/* Request `start`: answers by itself, and then has the session follow if it asks for that. */
void command_start(struct session *session, const json_t *params);
/* Request `follow`. */
void command_follow(struct session *session, const json_t *params);
struct process_spec;
/* As process_spec_read, with the Pod's own oom_score_adj where none is asked for. */
int command_read_spec(const json_t *params, struct process_spec *spec, struct failure *failure);
/* What every answer about the command says. */
json_t *command_state(void);
bool command_runs(void);
int command_signal(int signal, struct failure *failure);
void command_resize(uint16_t rows, uint16_t columns);
/* A signal came to process 1. From outside the Pod's namespaces it means that the Pod is to end. */
void command_signalled(int signal, bool from_outside);

#endif
