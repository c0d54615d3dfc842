/* container: a container from the request that starts it until it is forgotten, and what is asked of it meanwhile.
 *
 * The start of a container's first process, and its end. */
#include "container/container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "container/container-mounts.h"
#include "container/container-table.h"
#include "container/sharing.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "core/log.h"
#include "core/namespaces.h"
#include "core/worker.h"
#include "limits/cgroup.h"
#include "limits/device-filter.h"
#include "limits/seccomp.h"
#include "machine/emulator.h"
#include "machine/page-reporting.h"
#include "pod/netlink.h"
#include "pod/pod-namespaces.h"
#include "process/launch.h"
#include "process/process.h"
#include "rootfs/rootfs.h"

/* Here seconds pass that the host gave to others. The daemon knows of those, and gives up earlier. */
#define DISK_DEADLINE_MS 600000

/* ---- out of memory ---- */

static unsigned long long read_oom_kills(const struct container *container)
{
    char text[512];
    return cgroup_read(container->cgroup, "memory.events", text, sizeof(text)) > 0 ? cgroup_key(text, "oom_kill") : 0;
}

static void memory_events_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct container *container = CONTAINER_OF(source, struct container, memory_events);
    unsigned long long kills = read_oom_kills(container);
    if (kills > container->oom_kills)
        event_post(json_pack("{s:s, s:s}", "event", "oom", "containerId", container->id), 0, 0);
    container->oom_kills = kills;
    /* Reading through the watched descriptor is what takes the notice back. */
    char text[512];
    ssize_t ignored = pread(source->fd, text, sizeof(text), 0);
    (void)ignored;
}

static void watch_memory(struct container *container)
{
    container->memory_events.fd = openat(container->cgroup, "memory.events", O_RDONLY | O_CLOEXEC);
    container->memory_events.ready = memory_events_ready;
    if (container->memory_events.fd >= 0)
        loop_add(&container->memory_events, EPOLLPRI | EPOLLET);
}

static bool was_oom_killed(struct process *process)
{
    struct container *container = process->container;
    if (container->memory_events.fd >= 0)
        memory_events_ready(&container->memory_events, EPOLLPRI);
    return container->oom_kills > 0;
}

static void running(struct process *process)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", process->pid);
    process->container->mount_namespace = open(path, O_RDONLY | O_CLOEXEC);
    page_reporting_expect();
}

static void exited(struct process *process)
{
    /* In a PID namespace of its own the kernel has killed the rest. */
    if (cgroup_populated(process->container->cgroup))
        cgroup_kill(process->container->cgroup);
    was_oom_killed(process);
}

/* ---- start ---- */

static bool word_is(const json_t *spec, const char *field, const char *word)
{
    const char *value = json_string_value(json_object_get(spec, field));
    return value != NULL && strcmp(value, word) == 0;
}

static int join(int namespace, int type, const char *name, struct failure *failure)
{
    if (setns(namespace, type) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "join the Pod's %s namespace", name);
    return 0;
}

/* `container:<id>` names another container of the Pod; NULL for any other word. */
static const char *named_container(const json_t *spec, const char *field)
{
    static const char prefix[] = "container:";
    const char *value = json_string_value(json_object_get(spec, field));
    return value != NULL && strncmp(value, prefix, strlen(prefix)) == 0 ? value + strlen(prefix) : NULL;
}

/* Descriptor of a namespace of another container's first process, or -errno. */
static int namespace_of(const char *id, const char *kind, struct failure *failure)
{
    const struct container *other = container_find(id);
    if (other == NULL || other->process == NULL || other->process->state != PROCESS_RUNNING)
        return fail(failure, ESRCH, PHASE_NAMESPACE, "container %s is not running", id);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", other->process->pid, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd
                   : fail_errno(failure, errno, PHASE_NAMESPACE, "open the %s namespace of container %s", kind, id);
}

/* A network namespace with nothing but its loopback. */
static int own_network(struct failure *failure)
{
    if (unshare(CLONE_NEWNET) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "make a network namespace");
    auto_fd netlink = netlink_open();
    int lo = netlink >= 0 ? link_index(netlink, "lo") : netlink;
    int result = lo < 0 ? lo : link_set_up(netlink, lo, true);
    return result < 0 ? fail_errno(failure, result, PHASE_NETWORK, "set the loopback up") : 0;
}

/* In a namespace that no other container has. */
static int name_host(const json_t *spec, struct failure *failure)
{
    const char *hostname;
    int result = field_string(spec, "hostname", &hostname, failure);
    if (result == 0 && (sethostname(hostname, strlen(hostname)) < 0 || setdomainname("", 0) < 0))
        return fail_errno(failure, errno, PHASE_NAMESPACE, "sethostname");
    return result;
}

static int enter_namespaces(const json_t *spec, struct failure *failure)
{
    int fresh = CLONE_NEWNS;
    int result = 0;
    if (word_is(spec, "networkNamespace", "pod"))
        result = join(pod.net, CLONE_NEWNET, "network", failure);
    else if (word_is(spec, "networkNamespace", "container"))
        result = own_network(failure);
    if (result == 0 && word_is(spec, "utsNamespace", "pod"))
        result = join(pod.uts, CLONE_NEWUTS, "uts", failure);
    if (result == 0 && word_is(spec, "ipcNamespace", "pod"))
        result = join(pod.ipc, CLONE_NEWIPC, "ipc", failure);
    const char *donor = named_container(spec, "ipcNamespace");
    if (result == 0 && donor != NULL) {
        auto_fd ipc = namespace_of(donor, "ipc", failure);
        result = ipc < 0 ? ipc : join(ipc, CLONE_NEWIPC, "ipc", failure);
    }
    if (word_is(spec, "ipcNamespace", "container"))
        fresh |= CLONE_NEWIPC;
    if (word_is(spec, "cgroupNamespace", "container"))
        fresh |= CLONE_NEWCGROUP;
    if (word_is(spec, "utsNamespace", "container"))
        fresh |= CLONE_NEWUTS;
    if (result == 0 && unshare(fresh) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "make namespaces");
    if (result == 0 && (fresh & CLONE_NEWUTS))
        result = name_host(spec, failure);
    return result;
}

/* A container that is only looked at runs nothing: its file system is there until it is killed. */
__attribute__((noreturn)) static void hold(void)
{
    /* The end of the status socket among them: it runs. And what is the agent's, which would never be closed while a copy is here. */
    syscall(SYS_close_range, 3, ~0u, 0);
    for (;;)
        pause();
}

/* The container's first process, until its program runs. */
static void run_container(struct process *process, struct launch *launch)
{
    const struct container *container = process->container;
    const json_t *spec = container->spec;
    struct failure failure;
    if (container_mount(container, &failure) < 0 ||
        rootfs_write_files(container->directory, json_object_get(spec, "files"), &failure) < 0 ||
        enter_namespaces(spec, &failure) < 0 || child_limits(launch->spec, &failure) < 0 ||
        rootfs_enter(container->directory, spec, json_is_true(json_object_get(spec, "init")), launch, &failure) < 0)
        child_fail(launch, &failure);
    if (json_is_true(json_object_get(spec, "hold")))
        hold();
    child_run(launch);
}

static void undo(struct container *container)
{
    if (container->launched)
        container_unmount(container, MNT_DETACH);
    container_forget(container);
}

static void launch_failed(struct process *process, const struct failure *failure)
{
    struct container *container = process->container;
    bool waiting = process->waiting;
    struct request request = process->request;
    undo(container);
    if (waiting)
        respond_failure(request, failure);
}

/* With --init the program's arguments follow those of the little init. */
static const char **init_args(const char *const *args)
{
    size_t count = 0;
    while (args[count] != NULL)
        count++;
    const char **all = calloc(count + 3, sizeof(*all));
    if (all == NULL)
        return NULL;
    all[0] = "/sbin/docker-init";
    all[1] = "--";
    memcpy(all + 2, args, count * sizeof(*all));
    return all;
}

/* Values of io.max and io.weight are for a disk by its numbers, which are known once it is there. */
static int limit_disk(const struct container *container, struct disk_spec disk, struct failure *failure)
{
    char path[64], text[256];
    struct stat status;
    const char *file;
    json_t *value;
    disk.partition = 0; /* only whole disks have limits */
    if (!disk_path(&disk, path, sizeof(path)) || stat(path, &status) < 0)
        return fail(failure, ENODEV, PHASE_DISK, "no disk of LUN %d to limit", disk.lun);
    json_object_foreach(json_object_get(container->spec, "blockIo"), file, value) {
        const char *limit = json_string_value(value);
        if (limit == NULL || strchr(file, '/') != NULL)
            return fail(failure, EINVAL, PHASE_REQUEST, "bad cgroup value %s", file);
        snprintf(text, sizeof(text), "%u:%u %s", major(status.st_rdev), minor(status.st_rdev), limit);
        int result = cgroup_write_file(container->cgroup, file, text);
        if (result < 0)
            return fail_errno(failure, result, PHASE_CGROUP, "failed to write \"%s\" to %s", text, file);
    }
    return 0;
}

static int limit_disks(const struct container *container, struct failure *failure)
{
    if (json_object_size(json_object_get(container->spec, "blockIo")) == 0)
        return 0;
    int result = limit_disk(container, container->writable, failure);
    for (int i = 0; result == 0 && i < container->layer_count; i++)
        result = limit_disk(container, container->layers[i], failure);
    return result;
}

static int launch_container(struct container *container, struct failure *failure)
{
    const json_t *spec = container->spec;
    struct process_spec *process_spec = &container->process_spec;
    struct launch launch = {
        .spec = process_spec,
        .filter = container->filter,
        .cgroup = container->cgroup,
        .args = process_spec->args,
    };
    auto_free const char **with_init = NULL;
    if (json_is_true(json_object_get(spec, "init"))) {
        with_init = init_args(process_spec->args);
        if (with_init == NULL)
            return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for arguments");
        launch.args = with_init;
    }
    int result;
    if ((result = limit_disks(container, failure)) < 0 ||
        (result = seccomp_filter_for(process_spec, &launch.seccomp, failure)) < 0)
        return result;
    container->launched = true; /* from here on there may be something to unmount */
    if ((result = sharing_resolve(container, failure)) < 0)
        return result;
    int pid_namespace = -1;
    auto_fd donors_pids = -1;
    const char *donor = named_container(spec, "pidNamespace");
    if (donor != NULL && (pid_namespace = donors_pids = namespace_of(donor, "pid", failure)) < 0)
        return pid_namespace;
    if (word_is(spec, "pidNamespace", "pod") && (pid_namespace = pod_pid_namespace(failure)) < 0)
        return pid_namespace;
    return process_launch(container->process, &launch, word_is(spec, "pidNamespace", "container") ? CLONE_NEWPID : 0,
                          container->cgroup, pid_namespace, run_container, failure);
}

static void launch_now(struct container *container)
{
    struct failure failure;
    if (launch_container(container, &failure) < 0)
        launch_failed(container->process, &failure);
}

/* ---- programs of another processor ---- */

/* A copy: the container may be given up meanwhile. */
struct registration {
    char id[129];
    struct emulator emulator;
};

static int register_emulator(void *argument, struct failure *failure)
{
    const struct registration *registration = argument;
    return emulator_register(&registration->emulator, failure);
}

static void emulator_registered(void *argument, const char *output, size_t length, const struct failure *failure)
{
    (void)output;
    (void)length;
    struct registration *registration = argument;
    struct container *container = container_find(registration->id);
    free(registration);
    if (container == NULL || container->emulation != REGISTERING)
        return;
    container->emulation = EMULATED;
    if (failure == NULL)
        launch_now(container);
    else
        launch_failed(container->process, failure);
}

/* In a process of its own, and not the container's: the memory that the emulator takes is not on its account. */
static void launch_emulated(struct container *container)
{
    if (container->emulation != NOT_EMULATED)
        return;
    struct registration *registration = malloc(sizeof(*registration));
    int result = registration == NULL ? -ENOMEM : 0;
    if (result == 0) {
        snprintf(registration->id, sizeof(registration->id), "%s", container->id);
        registration->emulator = container->emulator;
        container->emulation = REGISTERING;
        result = worker_run(register_emulator, emulator_registered, registration);
    }
    if (result == 0)
        return;
    free(registration);
    struct failure failure;
    fail_errno(&failure, result, PHASE_EXEC, "register %s", container->emulator.name);
    launch_failed(container->process, &failure);
}

static void launch_if_ready(struct container *container)
{
    int missing;
    if (container->launched || !container_disks_ready(container, &missing))
        return;
    timer_stop(&container->disk_timer);
    if (container->emulator.wanted)
        launch_emulated(container);
    else
        launch_now(container);
}

void containers_disks_changed(void)
{
    for (struct container *container = container_first(), *next; container != NULL; container = next) {
        next = container->next;
        launch_if_ready(container);
    }
}

static void disks_are_late(struct timer *timer)
{
    struct container *container = CONTAINER_OF(timer, struct container, disk_timer);
    struct failure failure;
    int missing = -1;
    container_disks_ready(container, &missing);
    fail(&failure, ETIMEDOUT, PHASE_DISK, "the disk of LUN %d did not appear", missing);
    launch_failed(container->process, &failure);
}

bool container_cancel(struct container *container)
{
    if (container->launched)
        return false;
    struct failure failure;
    fail(&failure, ECANCELED, PHASE_DISK, "container %s was given up", container->id);
    launch_failed(container->process, &failure);
    return true;
}

static int prepare(struct container *container, struct failure *failure)
{
    json_t *cgroup, *rules;
    int result;
    bool in_pod = word_is(container->spec, "networkNamespace", "pod") ||
                  word_is(container->spec, "utsNamespace", "pod") || word_is(container->spec, "ipcNamespace", "pod") ||
                  word_is(container->spec, "pidNamespace", "pod");
    if (in_pod && !pod.exists)
        return fail(failure, EINVAL, PHASE_REQUEST, "there is no Pod yet");
    if ((result = field_object(container->spec, "cgroup", &cgroup, failure)) < 0 ||
        (result = field_array(container->spec, "deviceRules", &rules, failure)) < 0 ||
        (result = container_disks_read(container, failure)) < 0 ||
        (result = process_spec_read(container->spec, &container->process_spec, failure)) < 0 ||
        (result = container->cgroup = cgroup_create(container->cgroup_name, failure)) < 0 ||
        (result = cgroup_write(container->cgroup, cgroup, failure)) < 0)
        return result;
    watch_memory(container);
    if (!json_is_true(json_object_get(container->spec, "privileged")))
        return device_filter_load(rules, &container->filter, failure);
    return 0;
}

static const struct process_events process_events = { running, exited, was_oom_killed, launch_failed };

static struct container *new_container(const char *id, json_t *spec)
{
    struct container *container = container_add(id, spec);
    if (container == NULL)
        return NULL;
    container->disk_timer.fire = disks_are_late;
    container->process = process_new(PROCESS_CONTAINER, id, container, &process_events);
    if (container->process == NULL) {
        container_forget(container);
        return NULL;
    }
    return container;
}

void container_start(struct request request, const json_t *params)
{
    struct failure failure;
    json_t *spec;
    const char *id;
    if (field_object(params, "container", &spec, &failure) < 0 || field_id(spec, "id", &id, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    struct container *container = container_find(id);
    if (container != NULL) { /* asked again after a lost connection */
        process_answer_start(container->process, request);
        return;
    }
    if (process_find(id) != NULL || (container = new_container(id, spec)) == NULL) {
        fail(&failure, process_find(id) != NULL ? EEXIST : ENOMEM, PHASE_REQUEST, "cannot make container %s", id);
        respond_failure(request, &failure);
        return;
    }
    container->process->waiting = true;
    container->process->request = request;
    if (prepare(container, &failure) < 0) {
        launch_failed(container->process, &failure);
        return;
    }
    timer_start(&container->disk_timer, DISK_DEADLINE_MS);
    launch_if_ready(container);
}
