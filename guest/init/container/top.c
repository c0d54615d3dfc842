/* The processes of a container, as Debian's ps lists them: ps and its libraries lie in /extra/ps. */
#include "container/top.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container/container-table.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "core/worker.h"
#include "limits/cgroup.h"

#define PS "/extra/ps/"

struct top {
    struct request request;
    const char *container_id; /* belongs to `params` */
    const char **args;        /* of ps; strings belong to `params` */
    json_t *params;
};

static void free_top(struct top *top)
{
    json_decref(top->params);
    free(top->args);
    free(top);
}

/* What was written to the file, from its start, to our output. */
static void pass_on(int file)
{
    char buffer[16384];
    off_t offset = 0;
    for (;;) {
        ssize_t length = pread(file, buffer, sizeof(buffer), offset);
        if (length <= 0)
            return;
        for (ssize_t written = 0; written < length;) {
            ssize_t part = write(STDOUT_FILENO, buffer + written, (size_t)(length - written));
            if (part < 0 && errno != EINTR)
                return;
            written += part > 0 ? part : 0;
        }
        offset += length;
    }
}

static int run_ps(void *argument, struct failure *failure)
{
    const struct top *top = argument;
    size_t count = 0;
    while (top->args[count] != NULL)
        count++;
    const char *loader[] = { PS "ld-linux-x86-64.so.2", "--library-path", PS, "--argv0", "ps", PS "ps" };
    const char **all = calloc(count + 7, sizeof(*all)); /* freed by _exit */
    if (all == NULL)
        return fail(failure, ENOMEM, PHASE_IO, "no memory for arguments");
    size_t used = 0;
    for (size_t i = 0; i < sizeof(loader) / sizeof(loader[0]); i++)
        all[used++] = loader[i];
    for (size_t i = 0; i < count; i++)
        all[used++] = top->args[i];
    auto_fd output = memfd_create("ps-output", MFD_CLOEXEC);
    auto_fd complaint = memfd_create("ps-complaint", MFD_CLOEXEC);
    if (output < 0 || complaint < 0)
        return fail_errno(failure, errno, PHASE_IO, "make room for what ps says");
    const char *const env[] = { "PATH=/bin", "LC_ALL=C", NULL };
    pid_t pid = fork();
    if (pid == 0) {
        dup2(output, STDOUT_FILENO);
        dup2(complaint, STDERR_FILENO);
        execve(loader[0], (char *const *)(uintptr_t)all, (char *const *)(uintptr_t)env);
        _exit(127);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return fail_errno(failure, errno, PHASE_IO, "run ps");
    const bool fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    pass_on(fine ? output : complaint);
    if (!fine)
        return fail(failure, EINVAL, PHASE_REQUEST, "exit status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}

static void add_pid(pid_t pid, void *argument)
{
    json_array_append_new(argument, json_integer(pid));
}

static void listed(void *argument, const char *output, size_t length, const struct failure *failure)
{
    struct top *top = argument;
    const struct container *container = container_find(top->container_id);
    struct failure gone;
    if (failure != NULL && failure->phase == PHASE_REQUEST && length > 0) {
        /* What ps said of its arguments. */
        fail(&gone, failure->code, PHASE_REQUEST, "%.*s", (int)length, output);
        respond_failure(top->request, &gone);
    } else if (failure != NULL) {
        respond_failure(top->request, failure);
    } else if (container == NULL) {
        fail(&gone, ENOENT, PHASE_REQUEST, "no container %s", top->container_id);
        respond_failure(top->request, &gone);
    } else {
        json_t *pids = json_array();
        cgroup_processes(container->cgroup, add_pid, pids);
        json_t *text = json_stringn(output, length);
        if (text == NULL) { /* a process's name need not be UTF-8 */
            char *safe = malloc(length + 1);
            for (size_t i = 0; safe != NULL && i < length; i++)
                safe[i] = (unsigned char)output[i] < 0x80 ? output[i] : '?';
            text = json_stringn(safe != NULL ? safe : "", safe != NULL ? length : 0);
            free(safe);
        }
        respond(top->request, json_pack("{s:o, s:o}", "output", text, "pids", pids));
    }
    free_top(top);
}

void container_top(struct request request, const json_t *params)
{
    struct failure failure;
    const struct container *container = container_need_running(params, &failure);
    struct top *top = container != NULL ? calloc(1, sizeof(*top)) : NULL;
    if (container != NULL && top == NULL)
        fail(&failure, ENOMEM, PHASE_IO, "no memory to run ps");
    if (top == NULL) {
        respond_failure(request, &failure);
        return;
    }
    top->request = request;
    top->params = json_incref((json_t *)(uintptr_t)params);
    top->container_id = json_string_value(json_object_get(params, "id"));
    int result = field_strings(params, "psArgs", &top->args, &failure);
    if (result == 0 && (result = worker_run(run_ps, listed, top)) < 0)
        fail_errno(&failure, result, PHASE_IO, "start a helper process");
    if (result < 0) {
        free_top(top);
        respond_failure(request, &failure);
    }
}
