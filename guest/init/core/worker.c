/* Work that may block on a disk, done by a forked copy of the agent so that PID 1 never waits. */
#include "core/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "core/ring.h"

#define MAX_OUTPUT (4u << 20)

struct worker {
    struct worker *next;
    pid_t pid;
    struct source output;
    struct ring text;
    int status; /* pipe with the failure */
    bool reaped;
    void (*done)(void *argument, const char *output, size_t length, const struct failure *failure);
    void *argument;
};

static struct worker *workers;

static void finish(struct worker *worker)
{
    if (!worker->reaped || worker->output.fd >= 0)
        return;
    for (struct worker **link = &workers; *link != NULL; link = &(*link)->next)
        if (*link == worker) {
            *link = worker->next;
            break;
        }
    struct failure failure = { 0 };
    ssize_t got = read(worker->status, &failure, sizeof(failure));
    failure.message[sizeof(failure.message) - 1] = '\0';
    if (got != sizeof(failure))
        fail(&failure, EIO, PHASE_IO, "the agent's helper process was killed");
    char *text = malloc(worker->text.used + 1);
    if (text != NULL)
        ring_copy(&worker->text, 0, text, worker->text.used);
    worker->done(worker->argument, text != NULL ? text : "", text != NULL ? worker->text.used : 0,
                 failure.code != 0 ? &failure : NULL);
    free(text);
    ring_free(&worker->text);
    drop_fd(&worker->status);
    free(worker);
}

static void output_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct worker *worker = CONTAINER_OF(source, struct worker, output);
    for (;;) {
        if (worker->text.used >= MAX_OUTPUT || ring_reserve(&worker->text, 4096) < 0)
            break;
        ssize_t got = ring_read_from(&worker->text, source->fd, MAX_OUTPUT - worker->text.used);
        if (got == -EAGAIN)
            return;
        if (got <= 0 && got != -EINTR)
            break;
    }
    loop_remove(source);
    drop_fd(&source->fd);
    finish(worker);
}

bool worker_reaped(pid_t pid, int wait_status)
{
    (void)wait_status;
    for (struct worker *worker = workers; worker != NULL; worker = worker->next)
        if (worker->pid == pid) {
            worker->reaped = true;
            finish(worker);
            return true;
        }
    return false;
}

static void run_child(int (*work)(void *argument, struct failure *failure), void *argument, int output, int status)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(output, STDOUT_FILENO);
    struct failure failure = { 0 };
    if (work(argument, &failure) == 0)
        failure.code = 0;
    ssize_t ignored = write(status, &failure, sizeof(failure));
    (void)ignored;
    _exit(0);
}

int worker_run(int (*work)(void *argument, struct failure *failure),
               void (*done)(void *argument, const char *output, size_t length, const struct failure *failure),
               void *argument)
{
    int output[2] = { -1, -1 }, status[2] = { -1, -1 };
    struct worker *worker = calloc(1, sizeof(*worker));
    int result = worker == NULL ? -ENOMEM : 0;
    if (result == 0 && (pipe2(output, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0))
        result = -errno;
    pid_t pid = result == 0 ? fork() : -1;
    if (pid == 0)
        run_child(work, argument, output[1], status[1]);
    if (result == 0 && pid < 0)
        result = -errno;
    drop_fd(&output[1]);
    drop_fd(&status[1]);
    if (result < 0) {
        drop_fd(&output[0]);
        drop_fd(&status[0]);
        free(worker);
        return result;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    fcntl(status[0], F_SETFL, O_NONBLOCK);
    *worker = (struct worker){
        .next = workers,
        .pid = pid,
        .output = { .fd = output[0], .ready = output_ready },
        .status = status[0],
        .done = done,
        .argument = argument,
    };
    workers = worker;
    return loop_add(&worker->output, EPOLLIN);
}
