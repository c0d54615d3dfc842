/* commands: what the supervisor runs: the container's command, execs beside it, and jobs of its own.
 *
 * One process from the fork to its end: its streams, its terminal, its exit. */
#ifndef CAISSON_CHILD_H
#define CAISSON_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/failure.h"
#include "core/loop.h"
#include "core/ring.h"
#include "limits/spec.h"

struct child;

struct child_events {
    /* Its program runs; or could not be run, and the child is over. */
    void (*started)(struct child *child);
    void (*failed)(struct child *child, const struct failure *failure);
    /* How many bytes of output can be taken now. */
    size_t (*room)(struct child *child);
    /* 0 is stdout, or the terminal; 1 is stderr. */
    void (*output)(struct child *child, int stream, const uint8_t *bytes, size_t length);
    /* It was reaped; output may still come. */
    void (*exited)(struct child *child);
    /* It was reaped and its output has come; the child is over. */
    void (*ended)(struct child *child);
    /* More can be written to its input. */
    void (*input_room)(struct child *child);
};

enum child_state { CHILD_STARTING, CHILD_RUNNING, CHILD_EXITED, CHILD_OVER };

struct child_output {
    struct source source;
    struct child *child;
    bool paused;
};

struct child {
    struct child *next;
    const struct child_events *events;
    void *owner;
    enum child_state state;
    pid_t pid;
    bool terminal;
    bool job;
    struct source status; /* from the child until it runs its program */
    struct child_output outputs[2];
    struct source input;
    struct ring pending; /* input that did not fit yet */
    bool input_ending;
    struct timer grace;
    uint16_t rows, columns;
    int wait_status;
    int64_t exited_ns;
};

struct child_launch {
    const struct process_spec *spec; /* NULL: a job */
    int (*job)(const json_t *params, char *message, size_t message_size);
    const json_t *params;
    bool streams[3]; /* which it has; of a terminal all are one */
};

/* Starts reaping: SIGCHLD through a descriptor. */
void children_open(void);
/* 0, or -errno with `failure`: then there is no child. What follows is told by the events. */
int child_start(struct child *child, const struct child_launch *launch, struct failure *failure);
/* All of it is taken. False: it waits, and nothing more may be written before `input_room`. */
bool child_write(struct child *child, const uint8_t *bytes, size_t length);
void child_end_input(struct child *child);
/* There may be room for output again. */
void child_output_room(struct child *child);
void child_resize(struct child *child, uint16_t rows, uint16_t columns);
int child_signal(const struct child *child, int signal, struct failure *failure);
/* As a shell counts: 128 and the signal. */
int child_code(const struct child *child);
int child_signal_of_exit(const struct child *child);
/* What comes now is not waited for. */
void child_leave(struct child *child);

#endif
