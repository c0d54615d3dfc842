/* A process's standard streams: pipes or a terminal on one side, channels on the other. */
#ifndef CAISSON_STDIO_H
#define CAISSON_STDIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/failure.h"
#include "core/loop.h"
#include "limits/spec.h"

struct channel;
struct stdio;

/* One output stream: read from fd, sent through the channel. */
struct output {
    struct source source;
    struct channel *channel; /* NULL: whatever comes is thrown away */
    struct stdio *stdio;
};

struct input {
    struct source source;
    struct channel *channel;
    struct stdio *stdio;
};

struct stdio {
    struct input input;
    struct output outputs[2]; /* stdout (or the terminal), stderr */
    uint32_t output_ids[2];
    bool terminal;
    bool leaving; /* the process has exited: what its children still write gets a grace period */
    struct timer grace;
    void (*ended)(struct stdio *stdio); /* after stdio_leave: everything is in the channels, ends included */
};

/* What the child gets: descriptors for 0, 1 and 2. With a terminal all are -1. */
struct child_stdio {
    int fds[3];
};

/* Opens channels and pipes. The caller closes the child's ends with child_stdio_close. */
int stdio_open(struct stdio *stdio, const struct process_spec *spec, struct child_stdio *child,
               struct failure *failure);
void child_stdio_close(struct child_stdio *child);
/* The process runs with this terminal; takes the descriptor. */
void stdio_attach_terminal(struct stdio *stdio, int master);
/* The process has exited: sends what is left and calls `ended`, at once or from the loop. */
void stdio_leave(struct stdio *stdio);
/* Lets go of everything; channels with unacknowledged output live on. */
void stdio_close(struct stdio *stdio);

#endif
