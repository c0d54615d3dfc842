/* process: one process from the clone to its exit: the way to its program, its user, its streams.
 *
 * Processes the daemon knows: each container's first one and execs. From the clone to the acknowledged exit. */
#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/affinity.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/namespaces.h"
#include "process/early-signal.h"

static struct process *processes;
static struct source signals = { .fd = -1 };
static bool (*other_child)(pid_t pid, int wait_status);

struct process *process_first(void)
{
    return processes;
}

struct process *process_find(const char *id)
{
    for (struct process *process = processes; process != NULL; process = process->next)
        if (strcmp(process->id, id) == 0)
            return process;
    return NULL;
}

struct process *process_new(enum process_kind kind, const char *id, struct container *container,
                            const struct process_events *events)
{
    struct process *process = calloc(1, sizeof(*process));
    if (process == NULL)
        return NULL;
    process->id = strdup(id);
    if (process->id == NULL) {
        free(process);
        return NULL;
    }
    process->kind = kind;
    process->events = events;
    process->container = container;
    process->pidfd = -1;
    process->status.fd = -1;
    process->next = processes;
    processes = process;
    return process;
}

/* While a job runs, the agent is on the job's CPU (affinity.h). */
static void leave_cpu_of_jobs(void)
{
    for (const struct process *process = processes; process != NULL; process = process->next)
        if (process->job && process->state != PROCESS_EXITED)
            return;
    affinity_any();
}

void process_free(struct process *process)
{
    for (struct process **link = &processes; *link != NULL; link = &(*link)->next)
        if (*link == process) {
            *link = process->next;
            break;
        }
    if (process->stdio.ended != NULL)
        stdio_close(&process->stdio);
    timer_stop(&process->held);
    loop_remove(&process->status);
    drop_fd(&process->status.fd);
    drop_fd(&process->pidfd);
    if (process->job)
        leave_cpu_of_jobs();
    free(process->id);
    free(process);
}

void process_give_up(struct process *process, const struct failure *failure)
{
    bool waiting = process->waiting;
    struct request request = process->request;
    process_free(process);
    if (waiting)
        respond_failure(request, failure);
}

/* ---- start ---- */

static void answer(struct process *process, const struct failure *failure)
{
    if (!process->waiting)
        return;
    process->waiting = false;
    if (failure != NULL)
        respond_failure(process->request, failure);
    else
        respond(process->request, json_pack("{s:i}", "pid", (int)process->pid));
}

void process_answer_start(struct process *process, struct request request)
{
    process->waiting = true;
    process->request = request;
    if (process->state != PROCESS_STARTING)
        answer(process, NULL);
}

static void set_size(const struct process *process, uint16_t rows, uint16_t columns)
{
    struct winsize size = { .ws_row = rows, .ws_col = columns };
    ioctl(process->stdio.outputs[0].source.fd, TIOCSWINSZ, &size);
}

static void take_terminal(struct process *process, struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
        return;
    int master;
    memcpy(&master, CMSG_DATA(header), sizeof(master));
    stdio_attach_terminal(&process->stdio, master);
    if (process->rows > 0)
        set_size(process, process->rows, process->columns);
}

static void start_failed(struct process *process, const struct failure *failure)
{
    loop_remove(&process->status);
    drop_fd(&process->status.fd);
    /* It has called _exit: not a wait worth the name. Reaped here, so that nobody reports it as an exit. */
    waitpid(process->pid, NULL, 0);
    process->pid = 0;
    process->events->failed(process, failure);
}

static void status_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct process *process = CONTAINER_OF(source, struct process, status);
    char packet[1 + sizeof(struct failure)];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { packet, sizeof(packet) };
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t length = recvmsg(source->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length >= 1 && packet[0] == STATUS_TERMINAL) {
        take_terminal(process, &message);
        return;
    }
    if (length == sizeof(packet) && packet[0] == STATUS_FAILURE) {
        struct failure failure;
        memcpy(&failure, packet + 1, sizeof(failure));
        failure.message[sizeof(failure.message) - 1] = '\0';
        start_failed(process, &failure);
        return;
    }
    /* Closed by execve: it runs. (Or the child was killed on the way: then its exit says so.) */
    loop_remove(&process->status);
    drop_fd(&process->status.fd);
    if (process->state == PROCESS_STARTING) {
        process->state = PROCESS_RUNNING;
        process->running_since_ms = monotonic_ms();
        if (process->events->running != NULL)
            process->events->running(process);
    }
    answer(process, NULL);
}

static void after_exit(struct stdio *stdio);

int process_launch(struct process *process, struct launch *launch, uint64_t flags, int cgroup, int pid_namespace,
                   void (*run)(struct process *process, struct launch *launch), struct failure *failure)
{
    int result = stdio_open(&process->stdio, launch->spec, &launch->stdio, failure);
    process->stdio.ended = after_exit;
    int ends[2] = { -1, -1 };
    if (result == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        result = fail_errno(failure, errno, PHASE_IO, "socketpair");
    process->status.fd = ends[0];
    launch->status = ends[1];
    if (result == 0 && pid_namespace >= 0 && setns(pid_namespace, CLONE_NEWPID) < 0)
        result = fail_errno(failure, errno, PHASE_NAMESPACE, "join the PID namespace");
    if (result == 0 && process->job)
        affinity_keep_to_one();
    if (result == 0) {
        pid_t pid = launch_clone(flags, cgroup, &process->pidfd);
        if (pid == 0) {
            child_begin();
            if (!process->job)
                affinity_any();
            run(process, launch);
            _exit(127);
        }
        process->pid = pid;
        if (pid < 0)
            result = fail_errno(failure, pid, PHASE_NAMESPACE, "clone");
    }
    if (pid_namespace >= 0)
        setns(own.pid, CLONE_NEWPID);
    child_stdio_close(&launch->stdio);
    drop_fd(&launch->status);
    if (result < 0)
        return result;
    process->status.ready = status_ready;
    return loop_add(&process->status, EPOLLIN);
}

/* ---- signals and size ---- */

/* A shell needs a moment until it has its traps, and on a busy host that is longer than the daemon needs to ask for its end: a
 * signal to a container's first process would be lost. The clock goes on while the host has no CPU for the guest. */
enum { EARLY_MS = 20000, LOOK_AGAIN_MS = 5 };

static bool is_too_early(const struct process *process, int signal)
{
    return process->kind == PROCESS_CONTAINER && process->state == PROCESS_RUNNING && signal != SIGKILL &&
           signal != SIGSTOP && monotonic_ms() - process->running_since_ms < EARLY_MS &&
           signal_is_early(process->pid, signal);
}

static void send_held(struct timer *timer)
{
    struct process *process = CONTAINER_OF(timer, struct process, held);
    for (int signal = 1; signal <= 64; signal++) {
        uint64_t bit = UINT64_C(1) << (signal - 1);
        if ((process->held_signals & bit) == 0 || is_too_early(process, signal))
            continue;
        process->held_signals &= ~bit;
        if (process->state != PROCESS_EXITED)
            syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0);
    }
    if (process->held_signals != 0)
        timer_start(timer, LOOK_AGAIN_MS);
}

int process_signal(struct process *process, int signal, struct failure *failure)
{
    if (process->state == PROCESS_EXITED || process->pidfd < 0)
        return fail(failure, ESRCH, PHASE_REQUEST, "process %s",
                    process->pidfd < 0 ? "not running yet" : "already finished");
    if (is_too_early(process, signal)) {
        process->held_signals |= UINT64_C(1) << (signal - 1);
        process->held.fire = send_held;
        timer_start(&process->held, LOOK_AGAIN_MS);
        return 0;
    }
    if (syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0) < 0)
        return fail_errno(failure, errno, PHASE_REQUEST, "signal %d", signal);
    return 0;
}

int process_resize(struct process *process, uint16_t rows, uint16_t columns, struct failure *failure)
{
    if (process->state == PROCESS_EXITED)
        return fail(failure, ESRCH, PHASE_REQUEST, "process already finished");
    if (!process->stdio.terminal)
        return 0;
    process->rows = rows;
    process->columns = columns;
    if (process->stdio.outputs[0].source.fd >= 0)
        set_size(process, rows, columns);
    return 0;
}

/* ---- exit ---- */

/* Everything it wrote is in its channels: the exit may be told once that is sent. */
static void after_exit(struct stdio *stdio)
{
    struct process *process = CONTAINER_OF(stdio, struct process, stdio);
    int status = process->wait_status;
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = signal != 0 ? 128 + signal : WEXITSTATUS(status);
    bool oom_killed = process->events->was_oom_killed != NULL && process->events->was_oom_killed(process);
    json_t *event =
        json_pack("{s:s, s:s, s:s, s:{s:i, s:i, s:b, s:I}}", "event", "exit", "kind",
                  process->kind == PROCESS_CONTAINER ? "container" : "exec", "id", process->id, "status", "exitCode",
                  code, "signal", signal, "oomKilled", oom_killed, "timeMs", (json_int_t)process->exit_time_ms);
    process->exit_event = event_post(event, process->stdio.output_ids[0], process->stdio.output_ids[1]);
}

static void exited(struct process *process, int wait_status)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    process->exit_time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    process->wait_status = wait_status;
    process->state = PROCESS_EXITED;
    if (process->job)
        leave_cpu_of_jobs();
    if (process->status.fd >= 0) /* what it had to tell comes first: a terminal, or that it runs */
        while (process->status.fd >= 0)
            status_ready(&process->status, EPOLLIN);
    if (process->events->exited != NULL)
        process->events->exited(process);
    stdio_leave(&process->stdio);
}

static bool has_failed(const struct process *process)
{
    char kind;
    return process->status.fd >= 0 && recv(process->status.fd, &kind, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
           kind == STATUS_FAILURE;
}

static void reap(void)
{
    for (;;) {
        siginfo_t info = { 0 };
        /* Looked at before it is taken, so that a child whose start failed is left to start_failed. */
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct process *process = processes;
        while (process != NULL && (process->pid != info.si_pid || process->state == PROCESS_EXITED))
            process = process->next;
        if (process != NULL && process->status.fd >= 0) {
            /* A terminal may wait in front of the failure. */
            while (process->status.fd >= 0 && process->state == PROCESS_STARTING && !has_failed(process)) {
                char kind;
                if (recv(process->status.fd, &kind, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
                    break;
                status_ready(&process->status, EPOLLIN);
            }
            if (has_failed(process)) {
                status_ready(&process->status, EPOLLIN); /* reaps and frees it */
                continue;
            }
        }
        int status = 0;
        if (waitpid(info.si_pid, &status, WNOHANG) != info.si_pid)
            return;
        if (process != NULL)
            exited(process, status);
        else if (other_child != NULL)
            other_child(info.si_pid, status); /* else an orphan of a container in the VM's own PID namespace */
    }
}

static void signals_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct signalfd_siginfo info[16];
    while (read(source->fd, info, sizeof(info)) > 0)
        ;
    reap();
}

void processes_on_other_child(bool (*reaped)(pid_t pid, int wait_status))
{
    other_child = reaped;
}

void processes_open(void)
{
    sigset_t set;
    sigfillset(&set);
    /* Every signal is blocked, so that none can do anything to PID 1 but be read here. */
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.ready = signals_ready;
    if (signals.fd < 0 || loop_add(&signals, EPOLLIN) < 0)
        die("signalfd: %s", strerror(errno));
}
