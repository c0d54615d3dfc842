/* The table of operations: what each request leads to. */
#include "operations.h"

#include <errno.h>
#include <string.h>

#include "container/container-operations.h"
#include "container/container.h"
#include "container/stats.h"
#include "container/top.h"
#include "core/fields.h"
#include "jobs/job.h"
#include "machine/identity.h"
#include "pod/listeners.h"
#include "pod/pod.h"
#include "process/process.h"
#include "shares/shares.h"
#include "shares/tunnel.h"
#include "teardown.h"

static bool identified;

bool was_identified(void)
{
    return identified;
}

static int identity(const json_t *params, struct failure *failure)
{
    int result = identity_set(params, failure);
    identified |= result == 0;
    return result;
}

static struct process *need_process(const json_t *params, struct failure *failure)
{
    const char *id;
    if (field_id(params, "id", &id, failure) < 0)
        return NULL;
    struct process *process = process_find(id);
    if (process == NULL)
        fail(failure, ENOENT, PHASE_REQUEST, "no process %s", id);
    return process;
}

static int signal_process(const json_t *params, struct failure *failure)
{
    int64_t number;
    struct process *process = need_process(params, failure);
    if (process == NULL || field_integer(params, "signal", &number, failure) < 0)
        return -failure->code;
    if (number < 1 || number > 64)
        return fail(failure, EINVAL, PHASE_REQUEST, "no such signal: %lld", (long long)number);
    return process_signal(process, (int)number, failure);
}

static int resize_process(const json_t *params, struct failure *failure)
{
    int64_t rows, columns;
    struct process *process = need_process(params, failure);
    if (process == NULL || field_integer(params, "rows", &rows, failure) < 0 ||
        field_integer(params, "columns", &columns, failure) < 0)
        return -failure->code;
    if (rows < 0 || rows > UINT16_MAX || columns < 0 || columns > UINT16_MAX)
        return fail(failure, EINVAL, PHASE_REQUEST, "not a terminal's size");
    return process_resize(process, (uint16_t)rows, (uint16_t)columns, failure);
}

/* Either `run`, answered with an empty result when it returns, or `start`, which answers by itself. */
static const struct {
    const char *name;
    int (*run)(const json_t *params, struct failure *failure);
    void (*start)(struct request request, const json_t *params);
} operations[] = {
    { "identity", identity, NULL },
    { "clock", NULL, clock_adjust },
    { "pod.setup", pod_setup, NULL },
    { "pod.renew", pod_renew, NULL },
    { "pod.replace", NULL, pod_replace },
    { "pod.interface.add", pod_interface_add, NULL },
    { "pod.interface.remove", pod_interface_remove, NULL },
    { "pod.dns", pod_dns, NULL },
    { "pod.listeners", NULL, pod_listeners },
    { "pod.teardown", NULL, pod_teardown_all },
    { "container.start", NULL, container_start },
    { "container.signal", container_signal, NULL },
    { "container.freeze", NULL, container_freeze },
    { "container.update", container_update, NULL },
    { "container.file", container_file, NULL },
    { "container.rename", container_rename, NULL },
    { "container.stats", NULL, container_stats },
    { "container.top", NULL, container_top },
    { "container.growDisk", NULL, container_grow_disk },
    { "container.remove", NULL, container_remove },
    { "exec.start", NULL, exec_start },
    { "job.start", NULL, job_start },
    { "process.signal", signal_process, NULL },
    { "process.resize", resize_process, NULL },
    { "shares.mount", shares_mount, NULL },
    { "tunnel.listen", tunnel_listen, NULL },
    { "tunnel.close", tunnel_close, NULL },
    { "shutdown", NULL, shut_down },
};

void handle_request(struct request request, json_t *message)
{
    struct failure failure;
    const char *name;
    if (field_string(message, "op", &name, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(name, operations[i].name) != 0)
            continue;
        if (operations[i].start != NULL)
            operations[i].start(request, message);
        else if (operations[i].run(message, &failure) < 0)
            respond_failure(request, &failure);
        else
            respond(request, NULL);
        return;
    }
    fail(&failure, ENOSYS, PHASE_REQUEST, "no operation %s", name);
    respond_failure(request, &failure);
}
