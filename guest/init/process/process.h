/* Processes the daemon knows: each container's first one and execs. From the clone to the acknowledged exit. */
#ifndef CAISSON_PROCESS_H
#define CAISSON_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/loop.h"
#include "process/launch.h"
#include "process/stdio.h"
#include "wire/port.h"

struct container;

enum process_kind { PROCESS_CONTAINER, PROCESS_EXEC };
/* Starting: cloned, the program not yet running. Exited: reaped. */
enum process_state { PROCESS_STARTING, PROCESS_RUNNING, PROCESS_EXITED };

struct process;

/* What happens to a process, for whoever made it. NULL where nobody wants to know, but for `failed`. */
struct process_events {
    /* Its program runs. */
    void (*running)(struct process *process);
    /* It was reaped; output of it may still come. */
    void (*exited)(struct process *process);
    /* Asked when its exit is told to the daemon. */
    bool (*was_oom_killed)(struct process *process);
    /* The child could not run its program and is reaped: answers the request, and frees the process. */
    void (*failed)(struct process *process, const struct failure *failure);
};

struct process {
    struct process *next;
    const struct process_events *events;
    enum process_kind kind;
    enum process_state state;
    char *id;
    struct container *container;
    bool job; /* an exec that is the agent's own */
    pid_t pid;
    int pidfd;
    struct stdio stdio;
    struct source status; /* from the child until it runs its program */
    bool waiting;         /* for the answer to `request` */
    struct request request;
    uint16_t rows, columns;   /* a size that came before the terminal; 0: none */
    int64_t running_since_ms; /* CLOCK_MONOTONIC */
    uint64_t held_signals;    /* bits of those that came too early (early-signal.h) */
    struct timer held;        /* looks at them again */
    int wait_status;
    int64_t exit_time_ms;
    uint64_t exit_event; /* 0: not posted */
};

struct process *process_first(void);
struct process *process_find(const char *id);
/* Makes a process in the table; the id must be free. NULL if memory is short. */
struct process *process_new(enum process_kind kind, const char *id, struct container *container,
                            const struct process_events *events);
/* Takes it out of the table; channels with unacknowledged output live on. */
void process_free(struct process *process);
/* An exec or a job that could not be started: frees it, and answers who waits for it. */
void process_give_up(struct process *process, const struct failure *failure);

/* Clones. In the child, calls `run` with launch ready but for its namespaces; that never returns. In the agent the
 * request is answered when the program runs or could not. `pid_namespace`: a descriptor, -1 for the agent's own. */
int process_launch(struct process *process, struct launch *launch, uint64_t flags, int cgroup, int pid_namespace,
                   void (*run)(struct process *process, struct launch *launch), struct failure *failure);
/* Answers a repeated start request of a process that exists. */
void process_answer_start(struct process *process, struct request request);
int process_signal(struct process *process, int signal, struct failure *failure);
int process_resize(struct process *process, uint16_t rows, uint16_t columns, struct failure *failure);

/* Starts reaping: SIGCHLD through a descriptor. */
void processes_open(void);
/* Hears of children that are no processes of containers; returns whether it was its own. */
void processes_on_other_child(bool (*reaped)(pid_t pid, int wait_status));

#endif
