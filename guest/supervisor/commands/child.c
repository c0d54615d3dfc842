#include "commands/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/go-error.h"
#include "core/log.h"
#include "limits/seccomp.h"
#include "process/launch.h"
#include "records/record.h"
#include "sockets/sockets.h"

/* How long processes that hold the output open may delay the news of an exit. */
#define GRACE_MS 100
#define READ_BYTES 65536

static struct child *children;
static struct source signals = { .fd = -1 };

static void close_source(struct source *source)
{
    loop_remove(source);
    drop_fd(&source->fd);
}

static void forget(struct child *child)
{
    for (struct child **link = &children; *link != NULL; link = &(*link)->next)
        if (*link == child) {
            *link = child->next;
            break;
        }
    child->state = CHILD_OVER;
    timer_stop(&child->grace);
    close_source(&child->status);
    close_source(&child->input);
    for (int i = 0; i < 2; i++)
        close_source(&child->outputs[i].source);
    ring_free(&child->pending);
}

/* ---- output ---- */

static bool has_output(const struct child *child)
{
    return child->outputs[0].source.fd >= 0 || child->outputs[1].source.fd >= 0;
}

static void check_ended(struct child *child)
{
    if (child->state != CHILD_EXITED || has_output(child))
        return;
    forget(child);
    child->events->ended(child);
}

/* Reads what there is and can be taken. True: there is nothing at present, but may be later. */
static bool pump(struct child_output *output)
{
    static uint8_t buffer[READ_BYTES];
    struct child *child = output->child;
    while (output->source.fd >= 0) {
        size_t room = child->events->room(child);
        if (room == 0) {
            output->paused = true;
            loop_remove(&output->source);
            return false;
        }
        ssize_t got = read(output->source.fd, buffer, room < sizeof(buffer) ? room : sizeof(buffer));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0) { /* the end of a pipe, or EIO of a terminal nobody holds */
            close_source(&output->source);
            return false;
        }
        child->events->output(child, (int)(output - child->outputs), buffer, (size_t)got);
    }
    return false;
}

/* Of one that has exited: reads on, and waits a little for those who hold its output open. */
static void drain(struct child *child)
{
    bool quiet = false;
    for (int i = 0; i < 2; i++)
        if (child->outputs[i].source.fd >= 0 && !child->outputs[i].paused)
            quiet |= pump(&child->outputs[i]);
    if (child->state == CHILD_EXITED && quiet && !child->grace.armed)
        timer_start(&child->grace, GRACE_MS);
    check_ended(child);
}

/* The loop may be told of the first output of a process before it is told that it runs: when that comes first, all is in order. */
static void take_status(struct child *child)
{
    char kind;
    while (child->state == CHILD_STARTING && child->status.fd >= 0 &&
           recv(child->status.fd, &kind, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
        child->status.ready(&child->status, EPOLLIN);
}

static void output_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct child_output *output = CONTAINER_OF(source, struct child_output, source);
    take_status(output->child);
    pump(output);
    if (output->child->state == CHILD_EXITED)
        drain(output->child);
}

static void grace_over(struct timer *timer)
{
    struct child *child = CONTAINER_OF(timer, struct child, grace);
    for (int i = 0; i < 2; i++) {
        struct child_output *output = &child->outputs[i];
        /* On a busy host the time is over before anything else was done: what is there by now counts. */
        if (output->source.fd >= 0 && !output->paused && pump(output))
            close_source(&output->source);
    }
    check_ended(child);
}

void child_output_room(struct child *child)
{
    for (int i = 0; i < 2; i++) {
        struct child_output *output = &child->outputs[i];
        if (!output->paused || output->source.fd < 0)
            continue;
        output->paused = false;
        loop_add(&output->source, EPOLLIN);
    }
    if (child->state == CHILD_EXITED)
        drain(child);
}

void child_leave(struct child *child)
{
    for (int i = 0; i < 2; i++)
        close_source(&child->outputs[i].source);
    check_ended(child);
}

/* ---- input ---- */

static void feed(struct child *child)
{
    const uint8_t *bytes = NULL;
    size_t length;
    while (child->input.fd >= 0 && (length = ring_front(&child->pending, &bytes)) > 0) {
        ssize_t done = write(child->input.fd, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN) {
            if (!child->input.watched)
                loop_add(&child->input, EPOLLOUT);
            return;
        }
        if (done <= 0) /* EPIPE: the process has closed its end */
            close_source(&child->input);
        else
            ring_consume(&child->pending, (size_t)done);
    }
    ring_free(&child->pending);
    loop_remove(&child->input);
    /* An end of a terminal's input is none that a program would see; Docker leaves it open, too. */
    if (child->input_ending && !child->terminal)
        close_source(&child->input);
}

static void input_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct child *child = CONTAINER_OF(source, struct child, input);
    feed(child);
    if (child->pending.used == 0)
        child->events->input_room(child);
}

bool child_write(struct child *child, const uint8_t *bytes, size_t length)
{
    if (child->pending.used > 0 || child->state == CHILD_STARTING)
        return false;
    if (child->input.fd < 0) /* as into a broken pipe */
        return true;
    if (ring_reserve(&child->pending, length) < 0)
        return false;
    ring_append(&child->pending, bytes, length);
    feed(child);
    return true;
}

void child_end_input(struct child *child)
{
    child->input_ending = true;
    if (child->pending.used == 0 && child->input.fd >= 0)
        feed(child);
}

/* ---- start ---- */

static void set_size(const struct child *child)
{
    struct winsize size = { .ws_row = child->rows, .ws_col = child->columns };
    if (child->outputs[0].source.fd >= 0 && child->terminal)
        ioctl(child->outputs[0].source.fd, TIOCSWINSZ, &size);
}

void child_resize(struct child *child, uint16_t rows, uint16_t columns)
{
    child->rows = rows;
    child->columns = columns;
    set_size(child);
}

static void take_terminal(struct child *child, struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
        return;
    int master;
    memcpy(&master, CMSG_DATA(header), sizeof(master));
    fcntl(master, F_SETFL, O_NONBLOCK);
    /* A descriptor of its own for each direction, since epoll knows a descriptor once. */
    child->input.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    child->outputs[0].source.fd = master;
    loop_add(&child->outputs[0].source, EPOLLIN);
    if (child->rows > 0)
        set_size(child);
}

static void status_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct child *child = CONTAINER_OF(source, struct child, status);
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
        take_terminal(child, &message);
        return;
    }
    if (length == sizeof(packet) && packet[0] == STATUS_FAILURE) {
        struct failure failure;
        memcpy(&failure, packet + 1, sizeof(failure));
        failure.message[sizeof(failure.message) - 1] = '\0';
        /* It has called _exit: not a wait worth the name. Reaped here, so that nobody reports it as an exit. */
        waitpid(child->pid, NULL, 0);
        forget(child);
        child->events->failed(child, &failure);
        return;
    }
    /* Closed by execve: it runs. (Or it was killed on the way: then its exit says so.) */
    close_source(&child->status);
    if (child->state != CHILD_STARTING)
        return;
    child->state = CHILD_RUNNING;
    child->events->started(child);
    if (child->state == CHILD_RUNNING)
        child->events->input_room(child);
}

/* In the child. */
__attribute__((noreturn)) static void run_job(const struct child_launch *launch, struct child_stdio *stdio)
{
    static char message[4096];
    for (int i = 0; i < 3; i++) {
        int fd = stdio->fds[i] >= 0 ? stdio->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0 || dup2(fd, i) < 0)
            _exit(EIO);
    }
    /* The end of the status socket among them: it runs. */
    sockets_keep_only();
    umask(0);
    int result = launch->job(launch->params, message, sizeof(message));
    if (result == 0)
        _exit(0);
    dprintf(STDERR_FILENO, "%s", *message == '\0' ? go_error(-result) : message);
    _exit(-result & 0x7f);
}

/* In the child. The stack of a fork lives as long as the child needs it. */
__attribute__((noreturn)) static void run(const struct child_launch *what, struct child_stdio stdio, int status)
{
    struct failure failure;
    child_begin();
    if (what->spec == NULL)
        run_job(what, &stdio);
    struct launch launch = {
        .spec = what->spec,
        .args = what->spec->args,
        .stdio = stdio,
        .status = status,
        .filter = -1,
        .cgroup = -1,
    };
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (child_limits(what->spec, &failure) < 0 || seccomp_filter_for(what->spec, &launch.seccomp, &failure) < 0 ||
        (what->spec->terminal && child_terminal(&launch, root, &failure) < 0))
        child_fail(&launch, &failure);
    child_run(&launch);
}

static int open_streams(struct child *child, const struct child_launch *launch, struct child_stdio *theirs)
{
    *theirs = (struct child_stdio){ { -1, -1, -1 } };
    if (child->terminal)
        return 0;
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (!launch->streams[i])
            continue;
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        theirs->fds[i] = ends[i == 0 ? 0 : 1];
        int ours = ends[i == 0 ? 1 : 0];
        fcntl(ours, F_SETFL, O_NONBLOCK);
        if (i == 0)
            child->input.fd = ours;
        else
            child->outputs[i - 1].source.fd = ours;
        int result = i == 0 ? 0 : loop_add(&child->outputs[i - 1].source, EPOLLIN);
        if (result < 0)
            return result;
    }
    return 0;
}

int child_start(struct child *child, const struct child_launch *launch, struct failure *failure)
{
    struct child_stdio theirs;
    int ends[2] = { -1, -1 };
    child->state = CHILD_STARTING;
    child->terminal = launch->spec != NULL && launch->spec->terminal;
    child->job = launch->spec == NULL;
    child->status = (struct source){ .fd = -1, .ready = status_ready };
    child->input = (struct source){ .fd = -1, .ready = input_ready };
    child->grace = (struct timer){ .fire = grace_over };
    for (int i = 0; i < 2; i++)
        child->outputs[i] = (struct child_output){ .source = { .fd = -1, .ready = output_ready }, .child = child };
    child->next = children;
    children = child;
    int result = open_streams(child, launch, &theirs);
    if (result == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        result = -errno;
    child->status.fd = ends[0];
    if (result == 0) {
        child->pid = fork();
        if (child->pid == 0)
            run(launch, theirs, ends[1]);
        result = child->pid < 0 ? -errno : 0;
    }
    for (int i = 0; i < 3; i++)
        drop_fd(&theirs.fds[i]);
    drop_fd(&ends[1]);
    if (result == 0)
        result = loop_add(&child->status, EPOLLIN);
    if (result < 0) {
        forget(child);
        return fail_errno(failure, result, PHASE_IO, "start a process");
    }
    return 0;
}

/* ---- signals and the end ---- */

int child_signal(const struct child *child, int signal, struct failure *failure)
{
    if (child->state != CHILD_RUNNING)
        return fail(failure, ESRCH, PHASE_REQUEST, "process %s",
                    child->state == CHILD_STARTING ? "not running yet" : "already finished");
    /* It is not reaped yet, so the number is nobody else's. */
    if (kill(child->pid, signal) < 0)
        return fail_errno(failure, errno, PHASE_REQUEST, "signal %d", signal);
    return 0;
}

int child_signal_of_exit(const struct child *child)
{
    return WIFSIGNALED(child->wait_status) ? WTERMSIG(child->wait_status) : 0;
}

int child_code(const struct child *child)
{
    int signal = child_signal_of_exit(child);
    return signal != 0 ? 128 + signal : WEXITSTATUS(child->wait_status);
}

static bool has_failed(const struct child *child)
{
    char kind;
    return child->status.fd >= 0 && recv(child->status.fd, &kind, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
           kind == STATUS_FAILURE;
}

static void exited(struct child *child, int wait_status)
{
    child->exited_ns = record_time();
    child->wait_status = wait_status;
    while (child->status.fd >= 0) /* what it had to tell comes first: a terminal, or that it runs */
        status_ready(&child->status, EPOLLIN);
    child->state = CHILD_EXITED;
    close_source(&child->input);
    ring_free(&child->pending);
    child->events->exited(child);
    drain(child);
}

static void reap(void)
{
    for (;;) {
        siginfo_t info = { 0 };
        /* Looked at before it is taken, so that a child whose start failed is left to status_ready. */
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct child *child = children;
        while (child != NULL && (child->pid != info.si_pid || child->state == CHILD_EXITED))
            child = child->next;
        /* A terminal may wait in front of the failure. */
        while (child != NULL && child->status.fd >= 0 && child->state == CHILD_STARTING && !has_failed(child)) {
            char kind;
            if (recv(child->status.fd, &kind, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
                break;
            status_ready(&child->status, EPOLLIN);
        }
        if (child != NULL && has_failed(child)) {
            status_ready(&child->status, EPOLLIN); /* reaps it */
            continue;
        }
        int status = 0;
        if (waitpid(info.si_pid, &status, WNOHANG) != info.si_pid)
            return;
        if (child != NULL)
            exited(child, status);
        /* else an orphan of the container's */
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

void children_open(void)
{
    sigset_t set;
    sigfillset(&set);
    /* Every signal is blocked, so that none can do anything to process 1 but be read here. */
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.ready = signals_ready;
    if (signals.fd < 0 || loop_add(&signals, EPOLLIN) < 0)
        die("signalfd: %s", strerror(errno));
}
