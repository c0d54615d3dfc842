/* What can be asked of a container that exists: signals, freezing, limits, files, execs, removal. */
#include "container/container-operations.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "container/container-mounts.h"
#include "container/container-table.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "core/namespaces.h"
#include "core/worker.h"
#include "limits/cgroup.h"
#include "limits/device-filter.h"
#include "limits/seccomp.h"
#include "process/launch.h"
#include "process/process.h"
#include "rootfs/rootfs.h"

/* The guest can't tell a busy host from processes that do not freeze; the daemon can, and gives up earlier. */
#define FREEZE_DEADLINE_MS 600000
#define LAST_BREATHS 1000

/* ---- signals ---- */

static void signal_one(pid_t pid, void *argument)
{
    if (pid > 1)
        kill(pid, *(const int *)argument);
}

int container_signal(const json_t *params, struct failure *failure)
{
    int64_t number;
    bool all;
    struct container *container = container_need(params, failure);
    if (container == NULL || field_integer(params, "signal", &number, failure) < 0 ||
        field_bool(params, "all", &all, failure) < 0)
        return -failure->code;
    if (number < 1 || number > 64)
        return fail(failure, EINVAL, PHASE_REQUEST, "no such signal: %lld", (long long)number);
    int signal_number = (int)number;
    if (!all)
        return process_signal(container->process, signal_number, failure);
    if (container->process->state == PROCESS_EXITED)
        return fail(failure, ESRCH, PHASE_REQUEST, "container %s is not running", container->id);
    if (signal_number == SIGKILL)
        cgroup_kill(container->cgroup);
    else
        cgroup_processes(container->cgroup, signal_one, &signal_number);
    return 0;
}

/* ---- freezing ---- */

static bool is_frozen(const struct container *container)
{
    char text[256];
    return cgroup_read(container->cgroup, "cgroup.events", text, sizeof(text)) > 0 && cgroup_key(text, "frozen") != 0;
}

static void freeze_over(struct container *container)
{
    container->freezing = false;
    timer_stop(&container->freeze_timer);
    loop_remove(&container->freeze_events);
    drop_fd(&container->freeze_events.fd);
}

static void freeze_events_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct container *container = CONTAINER_OF(source, struct container, freeze_events);
    char text[256];
    ssize_t ignored = pread(source->fd, text, sizeof(text), 0);
    (void)ignored;
    if (is_frozen(container) != container->freeze_wanted)
        return;
    freeze_over(container);
    respond(container->freeze_request, NULL);
}

static void freeze_is_late(struct timer *timer)
{
    struct container *container = CONTAINER_OF(timer, struct container, freeze_timer);
    freeze_over(container);
    struct failure failure;
    fail(&failure, ETIMEDOUT, PHASE_CGROUP, "container %s does not freeze", container->id);
    respond_failure(container->freeze_request, &failure);
}

void container_freeze(struct request request, const json_t *params)
{
    struct failure failure;
    bool frozen;
    struct container *container = container_need_running(params, &failure);
    int result;
    if (container == NULL || field_bool(params, "frozen", &frozen, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    if (container->freezing)
        freeze_over(container); /* the newer wish counts; the older one's connection is gone, or it loses */
    if ((result = cgroup_write_file(container->cgroup, "cgroup.freeze", frozen ? "1" : "0")) < 0) {
        fail_errno(&failure, result, PHASE_CGROUP, "write cgroup.freeze");
        respond_failure(request, &failure);
        return;
    }
    container->freeze_events.fd = openat(container->cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
    container->freeze_events.ready = freeze_events_ready;
    container->freeze_timer.fire = freeze_is_late;
    container->freeze_request = request;
    container->freeze_wanted = frozen;
    container->freezing = true;
    timer_start(&container->freeze_timer, FREEZE_DEADLINE_MS);
    loop_add(&container->freeze_events, EPOLLPRI | EPOLLET);
    freeze_events_ready(&container->freeze_events, EPOLLPRI);
}

/* ---- limits and files ---- */

int container_update(const json_t *params, struct failure *failure)
{
    json_t *values;
    struct container *container = container_need(params, failure);
    if (container == NULL || field_object(params, "cgroup", &values, failure) < 0)
        return -failure->code;
    return cgroup_write(container->cgroup, values, failure);
}

int container_file(const json_t *params, struct failure *failure)
{
    const char *path;
    struct container *container = container_need(params, failure);
    if (container == NULL || field_string(params, "path", &path, failure) < 0)
        return -failure->code;
    const json_t *files = json_object_get(container->spec, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *known = json_string_value(json_object_get(json_array_get(files, i), "path"));
        if (known == NULL || strcmp(known, path) != 0)
            continue;
        auto_free uint8_t *bytes = NULL;
        size_t length;
        int result = field_base64(params, "contentBase64", &bytes, &length, failure);
        return result < 0 ? result : rootfs_replace_file(container->directory, i, bytes, length, failure);
    }
    return fail(failure, ENOENT, PHASE_REQUEST, "%s is none of the container's files", path);
}

int container_rename(const json_t *params, struct failure *failure)
{
    const char *id, *new_id;
    if (field_id(params, "id", &id, failure) < 0 || field_id(params, "newId", &new_id, failure) < 0)
        return -failure->code;
    struct container *container = container_find(id);
    if (strcmp(id, new_id) == 0 || (container == NULL && container_find(new_id) != NULL))
        return 0; /* asked again after a lost connection */
    if (container == NULL)
        return fail(failure, ENOENT, PHASE_REQUEST, "no container %s", id);
    if (process_find(new_id) != NULL)
        return fail(failure, EEXIST, PHASE_REQUEST, "there is a process %s", new_id);
    char *name = strdup(new_id), *process_name = strdup(new_id);
    if (name == NULL || process_name == NULL) {
        free(name);
        free(process_name);
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for a container's name");
    }
    free(container->id);
    container->id = name;
    free(container->process->id);
    container->process->id = process_name;
    return 0;
}

/* ---- removal ---- */

struct removal {
    struct container *container;
    struct request request;
    bool sync;
};

static int unmount_work(void *argument, struct failure *failure)
{
    const struct removal *removal = argument;
    struct container *container = removal->container; /* this process's copy */
    drop_fd(&container->mount_namespace);
    char path[64];
    snprintf(path, sizeof(path), "%s/w", container->directory);
    /* Its first process is gone; in a shared PID namespace the others have only just been killed. */
    for (int i = 0; i < LAST_BREATHS && cgroup_populated(container->cgroup); i++)
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    if (removal->sync) {
        auto_fd fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && syncfs(fd) < 0)
            return fail_errno(failure, errno, PHASE_IO, "sync the disk of container %s", container->id);
    }
    int result = container_sync_trees(container);
    if (result < 0)
        return fail_errno(failure, result, PHASE_IO, "sync the disks of container %s", container->id);
    result = container_unmount(container, 0);
    if (result < 0)
        return fail_errno(failure, result, PHASE_MOUNT, "unmount container %s", container->id);
    return 0;
}

static void unmounted(void *argument, const char *output, size_t length, const struct failure *failure)
{
    (void)output;
    (void)length;
    struct removal *removal = argument;
    if (failure != NULL) {
        removal->container->removing = false;
        respond_failure(removal->request, failure);
    } else {
        container_forget(removal->container);
        respond(removal->request, NULL);
    }
    free(removal);
}

void container_remove(struct request request, const json_t *params)
{
    struct failure failure;
    const char *id;
    bool sync;
    if (field_id(params, "id", &id, &failure) < 0 || field_bool(params, "sync", &sync, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    struct container *container = container_find(id);
    if (container == NULL) { /* asked again after a lost connection */
        respond(request, NULL);
        return;
    }
    struct removal *removal = malloc(sizeof(*removal));
    int result = 0;
    if (container->process->state != PROCESS_EXITED || container->removing)
        result = fail(&failure, EBUSY, PHASE_REQUEST, "container %s is %s", id,
                      container->removing ? "being removed" : "running");
    else if (removal == NULL)
        result = fail(&failure, ENOMEM, PHASE_REQUEST, "no memory to remove a container");
    if (result == 0) {
        *removal = (struct removal){ container, request, sync };
        container->removing = true;
        result = worker_run(unmount_work, unmounted, removal);
        drop_fd(&container->mount_namespace);
        if (result < 0)
            fail_errno(&failure, result, PHASE_IO, "start a helper process");
    }
    if (result < 0) {
        free(removal);
        respond_failure(request, &failure);
    }
}

/* ---- execs ---- */

static void run_exec(struct process *process, struct launch *launch)
{
    struct failure failure;
    const int all = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
    if (child_limits(launch->spec, &failure) < 0)
        child_fail(launch, &failure);
    if (setns(process->container->process->pidfd, all) < 0) {
        fail_errno(&failure, errno, PHASE_NAMESPACE, "join the namespaces of container %s", process->container->id);
        child_fail(launch, &failure);
    }
    auto_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (launch->spec->terminal && child_terminal(launch, root, &failure) < 0)
        child_fail(launch, &failure);
    child_run(launch);
}

static int launch_exec(struct process *process, const json_t *params, struct failure *failure)
{
    struct process_spec spec;
    struct container *container = process->container;
    auto_fd pid_namespace = -1;
    int result = process_spec_read(params, &spec, failure);
    struct launch launch = { .spec = &spec, .filter = -1, .cgroup = container->cgroup, .args = spec.args };
    if (result == 0)
        result = seccomp_filter_for(&spec, &launch.seccomp, failure);
    if (result == 0) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/ns/pid", container->process->pid);
        pid_namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (pid_namespace < 0)
            result =
                fail_errno(failure, errno, PHASE_NAMESPACE, "open the PID namespace of container %s", container->id);
    }
    if (result == 0)
        result = process_launch(process, &launch, 0, container->cgroup, pid_namespace, run_exec, failure);
    process_spec_free(&spec);
    return result;
}

static const struct process_events exec_events = { .failed = process_give_up };

void exec_start(struct request request, const json_t *params)
{
    struct failure failure;
    const char *id, *container_id;
    if (field_id(params, "id", &id, &failure) < 0 || field_id(params, "containerId", &container_id, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    struct process *process = process_find(id);
    if (process != NULL && process->kind == PROCESS_EXEC) { /* asked again after a lost connection */
        process_answer_start(process, request);
        return;
    }
    struct container *container = container_find(container_id);
    if (process != NULL)
        fail(&failure, EEXIST, PHASE_REQUEST, "%s is a container", id);
    else if (container == NULL)
        fail(&failure, ENOENT, PHASE_REQUEST, "no container %s", container_id);
    else if (container->process->state != PROCESS_RUNNING)
        fail(&failure, ESRCH, PHASE_REQUEST, "container %s is not running", container_id);
    else if ((process = process_new(PROCESS_EXEC, id, container, &exec_events)) == NULL)
        fail(&failure, ENOMEM, PHASE_REQUEST, "no memory for an exec");
    else {
        process->waiting = true;
        process->request = request;
        if (launch_exec(process, params, &failure) < 0)
            process_give_up(process, &failure);
        return;
    }
    respond_failure(request, &failure);
}

void execs_sweep(uint64_t acknowledged)
{
    for (struct process *process = process_first(), *next; process != NULL; process = next) {
        next = process->next;
        /* Output that background children hold open is still drained: closing it would kill them by SIGPIPE. */
        bool drained = process->stdio.outputs[0].source.fd < 0 && process->stdio.outputs[1].source.fd < 0;
        if (process->kind == PROCESS_EXEC && process->exit_event != 0 && process->exit_event <= acknowledged && drained)
            process_free(process);
    }
}
