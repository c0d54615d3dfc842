/* The end of a Pod, and of the VM: kill, wait until everything is reaped, sync and unmount in a helper, forget. A Pod that
 * another one replaces leaves the syncing and unmounting to `container.remove`, beside what that one does. */
#include "teardown.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "container/container-mounts.h"
#include "container/container-table.h"
#include "container/container.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "core/loop.h"
#include "core/worker.h"
#include "jobs/job.h"
#include "limits/cgroup.h"
#include "pod/pod-namespaces.h"
#include "pod/pod.h"
#include "process/process.h"

/* As everywhere in the guest: the daemon, which knows what the host gave it, gives up earlier. */
#define DEADLINE_MS 600000

enum stage { STAGE_NONE, STAGE_DYING, STAGE_UNMOUNTING };

static enum stage stage;
static bool prepare_next; /* the VM goes on: namespaces for the next Pod */
static json_t *successor; /* parameters of the Pod that comes at once, or NULL */
static struct request waiting;
static struct timer deadline;

static void finish(const struct failure *failure)
{
    stage = STAGE_NONE;
    timer_stop(&deadline);
    json_decref(successor);
    successor = NULL;
    if (failure != NULL)
        respond_failure(waiting, failure);
    else
        respond(waiting, NULL);
}

static int unmount_all(void *argument, struct failure *failure)
{
    (void)argument;
    sync();
    for (struct container *container = container_first(); container != NULL; container = container->next) {
        drop_fd(&container->mount_namespace); /* this process's copy */
        if (!container->launched)
            continue;
        int result = container_unmount(container, 0);
        if (result < 0)
            return fail_errno(failure, result, PHASE_MOUNT, "unmount container %s", container->id);
    }
    return 0;
}

static void unmounted(void *argument, const char *output, size_t length, const struct failure *failure)
{
    (void)argument;
    (void)output;
    (void)length;
    if (failure == NULL) {
        while (container_first() != NULL)
            container_forget(container_first());
        if (pod.exists)
            pod_teardown();
        if (prepare_next)
            pod_prepare();
    }
    finish(failure);
}

static void succeed(void)
{
    struct failure failure;
    if (pod.exists)
        pod_teardown();
    int result = pod_setup(successor, &failure);
    finish(result < 0 ? &failure : NULL);
}

void teardown_continue(void)
{
    if (stage != STAGE_DYING)
        return;
    for (const struct container *container = container_first(); container != NULL; container = container->next)
        if (container->removing || (container->launched && cgroup_populated(container->cgroup)))
            return;
    for (const struct process *process = process_first(); process != NULL; process = process->next)
        if (process->pid > 0 && process->state != PROCESS_EXITED)
            return;
    if (successor != NULL) {
        succeed();
        return;
    }
    stage = STAGE_UNMOUNTING;
    int result = worker_run(unmount_all, unmounted, NULL);
    for (struct container *container = container_first(); container != NULL; container = container->next)
        drop_fd(&container->mount_namespace);
    if (result < 0) {
        struct failure failure;
        fail_errno(&failure, result, PHASE_IO, "start a helper process");
        finish(&failure);
    }
}

static void too_late(struct timer *timer)
{
    (void)timer;
    struct failure failure;
    fail(&failure, ETIMEDOUT, PHASE_IO, "processes of the Pod do not end");
    if (stage == STAGE_DYING)
        finish(&failure);
}

/* `heir`: see `successor`, which takes the reference over. */
static void begin(struct request request, bool goes_on, json_t *heir)
{
    waiting = request; /* one who asks again waits for the same end */
    prepare_next = goes_on;
    json_decref(successor);
    successor = heir;
    if (stage != STAGE_NONE)
        return;
    stage = STAGE_DYING;
    jobs_kill();
    deadline.fire = too_late;
    timer_start(&deadline, DEADLINE_MS);
    for (struct container *container = container_first(), *next; container != NULL; container = next) {
        next = container->next;
        if (!container_cancel(container))
            cgroup_kill(container->cgroup);
    }
    teardown_continue();
}

void pod_replace(struct request request, const json_t *params)
{
    struct failure failure;
    json_t *spec;
    const char *id;
    int result = field_object(params, "pod", &spec, &failure);
    if (result == 0)
        result = field_id(spec, "id", &id, &failure);
    if (result == 0 && pod.exists && strcmp(pod.id, id) == 0) { /* asked again after a lost connection */
        respond(request, NULL);
        return;
    }
    if (result == 0 && stage != STAGE_NONE && successor == NULL)
        result = fail(&failure, EBUSY, PHASE_REQUEST, "the Pod is being ended");
    json_t *heir = result == 0 ? json_deep_copy(params) : NULL;
    if (result == 0 && heir == NULL)
        result = fail(&failure, ENOMEM, PHASE_REQUEST, "no memory for a Pod");
    if (result < 0)
        respond_failure(request, &failure);
    else
        begin(request, true, heir);
}

void pod_teardown_all(struct request request, const json_t *params)
{
    (void)params;
    begin(request, true, NULL);
}

void shut_down(struct request request, const json_t *params)
{
    (void)params;
    begin(request, false, NULL);
}
