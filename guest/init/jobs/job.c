/* jobs: the agent's own work on a container's files, for docker cp, diff, export and commit.
 *
 * A job is an exec in all that concerns its streams and its exit, but runs no program of the container's and none of its
 * cgroup: a frozen container's files can be copied too. Errors are text on its standard error, and the exit code is their
 * errno. */
#include "jobs/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archives/bulk.h"
#include "archives/place.h"
#include "archives/tar-read.h"
#include "archives/tar-write.h"
#include "container/container-table.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "core/go-error.h"
#include "jobs/container-view.h"
#include "jobs/file-changes.h"
#include "jobs/file-usage.h"
#include "paths/container-path.h"
#include "process/launch.h"
#include "process/process.h"
#include "rootfs/stubs.h"
#include "rootfs/trees.h"

struct job {
    const struct container *container;
    const json_t *params;
    struct bulk *bulk; /* NULL: the pipes carry plain bytes */
    char message[PATH_MAX + 256];
};

static const char *text_of(const struct job *job, const char *field)
{
    const char *text = json_string_value(json_object_get(job->params, field));
    return text == NULL ? "" : text;
}

static bool flag(const struct job *job, const char *field)
{
    return json_is_true(json_object_get(job->params, field));
}

static unsigned number(const struct job *job, const char *field)
{
    return (unsigned)json_integer_value(json_object_get(job->params, field));
}

static int fail_job(struct job *job, int code, const char *what, const char *path)
{
    snprintf(job->message, sizeof(job->message), "%s %s: %s", what, path, go_error(code));
    return -code;
}

/* What is mounted in the VM's own namespace: the container's own mounts are not there. */
static int open_in_vm(struct job *job, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", job->container->directory, name);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? fail_job(job, errno, "open", name) : fd;
}

/* A descriptor of the root of the container's files, or -errno. */
static int open_view(struct job *job)
{
    struct failure failure;
    int root = container_view_open(job->container, &failure);
    if (root < 0)
        snprintf(job->message, sizeof(job->message), "%s", failure.message);
    return root;
}

static int find_place(struct job *job, struct place *place)
{
    int root = open_view(job);
    return root < 0 ? root : place_find(root, text_of(job, "path"), place, job->message, sizeof(job->message));
}

static int run_stat(struct job *job)
{
    static struct place place;
    int result = find_place(job, &place);
    return result < 0 ? result
                      : place_describe(&place, text_of(job, "path"), STDOUT_FILENO, job->message, sizeof(job->message));
}

static int write_tar(struct job *job, int directory, const char *path, const char *name,
                     struct tar_write_options options)
{
    options.bulk = job->bulk;
    char culprit[PATH_MAX];
    int result = tar_write(STDOUT_FILENO, directory, path, name, options, culprit, sizeof(culprit));
    return result < 0 ? fail_job(job, -result, "archive", *culprit == '\0' ? path : culprit) : 0;
}

static int run_archive(struct job *job)
{
    static struct place place;
    int result = find_place(job, &place);
    return result < 0
               ? result
               : write_tar(job, place.directory, place.name, text_of(job, "name"), (struct tar_write_options){ 0 });
}

static int run_extract(struct job *job)
{
    struct tar_read_options options = {
        .no_overwrite_dir_non_dir = flag(job, "noOverwriteDirNonDir"),
        .keep_destination = true,
        .set_owner = flag(job, "setOwner"),
        .uid = number(job, "uid"),
        .gid = number(job, "gid"),
        .bulk = job->bulk,
    };
    char directory[PATH_MAX];
    auto_fd disk = open_in_vm(job, "w");
    auto_fd root = disk < 0 ? disk : open_view(job);
    if (root < 0)
        return root;
    int result = container_path_evaluate(root, text_of(job, "path"), directory, sizeof(directory));
    if (result < 0)
        return fail_job(job, -result, "evaluate", text_of(job, "path"));
    if (fchdir(root) < 0 || chroot(".") < 0)
        return fail_job(job, errno, "enter the root of", job->container->id);
    result = tar_read(STDIN_FILENO, directory, options, job->message, sizeof(job->message));
    /* What the client is told is there must not be lost with this VM. */
    if (result == 0 && syncfs(disk) < 0)
        return fail_job(job, errno, "sync", directory);
    return result;
}

/* Docker's export: all there is, but nothing of what is mounted. */
static int run_export(struct job *job)
{
    auto_fd root = open_in_vm(job, "root");
    return root < 0 ? root : write_tar(job, root, ".", "", (struct tar_write_options){ .one_file_system = true });
}

/* What is left of mount points is not what a build's step has changed. */
static int remove_stubs(struct job *job)
{
    const char *which = text_of(job, "stubs");
    int result = *which == '\0' ? 0 : stubs_remove(job->container->directory, strcmp(which, "all") == 0);
    return result < 0 ? fail_job(job, -result, "remove", "mount points") : 0;
}

/* What the container changed, of its root or of one of its trees, as a layer. */
static int run_layer(struct job *job)
{
    bool of_tree = json_object_get(job->params, "tree") != NULL;
    int result = of_tree ? 0 : remove_stubs(job);
    auto_fd upper = result < 0 ? result
                    : of_tree  ? tree_open_changes(job->container->directory, (int)number(job, "tree"))
                               : open_in_vm(job, "w/upper");
    if (upper < 0 && of_tree)
        return fail_job(job, -upper, "open", "the changes of a tree");
    return upper < 0 ? upper : write_tar(job, upper, ".", "", (struct tar_write_options){ .layer = true });
}

static int run_changes(struct job *job)
{
    int result = file_changes(job->container->directory, job->container->layer_count, STDOUT_FILENO);
    return result < 0 ? fail_job(job, -result, "compare", "the container with its image") : 0;
}

static int run_usage(struct job *job)
{
    uint64_t bytes;
    auto_fd disk = open_in_vm(job, "w");
    if (disk < 0)
        return disk;
    int result = file_usage(disk, "upper", &bytes);
    if (result < 0)
        return fail_job(job, -result, "count", "what the container has written");
    dprintf(STDOUT_FILENO, "%llu", (unsigned long long)bytes);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(struct job *job);
} jobs[] = {
    { "stat", run_stat },   { "archive", run_archive }, { "extract", run_extract }, { "export", run_export },
    { "layer", run_layer }, { "changes", run_changes }, { "usage", run_usage },
};

static int (*find_job(const char *name))(struct job *job)
{
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
        if (strcmp(jobs[i].name, name) == 0)
            return jobs[i].run;
    return NULL;
}

static void connect_streams(const struct launch *launch)
{
    for (int i = 0; i < 3; i++) {
        int fd = launch->stdio.fds[i];
        if (fd < 0)
            fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0 || dup2(fd, i) < 0)
            _exit(EIO);
    }
}

/* Has the archive go by the bulk disk, where the request says so. */
static int open_streams(struct job *job, const char *kind)
{
    static struct bulk bulk;
    struct bulk_area area;
    struct failure failure;
    bool present;
    int result = bulk_area_read(job->params, &area, &present, &failure);
    if (result < 0) {
        snprintf(job->message, sizeof(job->message), "%s", failure.message);
        return result;
    }
    if (!present)
        return 0;
    bool input = strcmp(kind, "extract") == 0;
    result =
        bulk_open(&bulk, &area, BULK_DISK, input ? STDIN_FILENO : STDOUT_FILENO, input ? STDOUT_FILENO : STDIN_FILENO);
    job->bulk = &bulk;
    return result < 0 ? fail_job(job, -result, "open", BULK_DISK) : 0;
}

/* In the clone. The request's parameters live in the agent's memory, of which this is a copy. */
static void run_job(struct process *process, struct launch *launch)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        _exit(ENOMEM);
    job->container = process->container;
    job->params = launch->job;
    connect_streams(launch);
    /* The end of the status socket among them: it runs. And pipes of others, which would never end while a copy is here. */
    syscall(SYS_close_range, 3, ~0u, 0);
    signal(SIGPIPE, SIG_DFL); /* nobody reads: no need to go on */
    umask(0);
    int result = open_streams(job, text_of(job, "kind"));
    if (result == 0)
        result = find_job(text_of(job, "kind"))(job);
    if (result == 0)
        _exit(0);
    dprintf(STDERR_FILENO, "%s", *job->message == '\0' ? go_error(-result) : job->message);
    _exit(-result & 0x7f);
}

static int launch_job(struct process *process, const json_t *params, json_t *job, struct failure *failure)
{
    int64_t input, output, error;
    int result;
    if ((result = field_integer(params, "stdin", &input, failure)) < 0 ||
        (result = field_integer(params, "stdout", &output, failure)) < 0 ||
        (result = field_integer(params, "stderr", &error, failure)) < 0)
        return result;
    struct process_spec spec = { .input = (uint32_t)input, .output = (uint32_t)output, .error = (uint32_t)error };
    struct launch launch = { .spec = &spec, .filter = -1, .cgroup = -1, .job = job };
    return process_launch(process, &launch, 0, -1, -1, run_job, failure);
}

void jobs_kill(void)
{
    for (struct process *process = process_first(); process != NULL; process = process->next)
        if (process->job && process->pid > 0 && process->state != PROCESS_EXITED)
            kill(process->pid, SIGKILL);
}

static const struct process_events job_events = { .failed = process_give_up };

/* Also when its process has ended by now, and however soon after its start that was. One that was killed on the way to its
 * program may have nothing to show. */
static bool is_mounted(const struct container *container)
{
    char path[PATH_MAX];
    struct statx status;
    snprintf(path, sizeof(path), "%s/root", container->directory);
    return container->process->state != PROCESS_STARTING &&
           statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &status) == 0 &&
           (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void job_start(struct request request, const json_t *params)
{
    struct failure failure;
    const char *id, *container_id, *kind;
    json_t *job;
    if (field_id(params, "id", &id, &failure) < 0 || field_id(params, "containerId", &container_id, &failure) < 0 ||
        field_object(params, "job", &job, &failure) < 0 || field_string(job, "kind", &kind, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    struct container *container = container_find(container_id);
    struct process *process = process_find(id);
    if (process != NULL && process->kind == PROCESS_EXEC) { /* asked again after a lost connection */
        process_answer_start(process, request);
        return;
    }
    if (process != NULL)
        fail(&failure, EEXIST, PHASE_REQUEST, "%s is a container", id);
    else if (container == NULL)
        fail(&failure, ENOENT, PHASE_REQUEST, "no container %s", container_id);
    else if (find_job(kind) == NULL)
        fail(&failure, EINVAL, PHASE_REQUEST, "no such job: %s", kind);
    else if (!is_mounted(container) || container->removing)
        fail(&failure, ESRCH, PHASE_REQUEST, "container %s is not mounted", container->id);
    else if ((process = process_new(PROCESS_EXEC, id, container, &job_events)) == NULL)
        fail(&failure, ENOMEM, PHASE_REQUEST, "no memory for a job");
    else {
        process->job = true;
        process->waiting = true;
        process->request = request;
        if (launch_job(process, params, job, &failure) < 0)
            process_give_up(process, &failure);
        return;
    }
    respond_failure(request, &failure);
}
