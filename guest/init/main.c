/* PID 1 of the VM: prepares the machine, then serves the daemon for ever. Until the loop runs an error is fatal (the
 * VM ends); from then on it becomes an answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container/container-operations.h"
#include "container/container-table.h"
#include "container/container.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/namespaces.h"
#include "core/worker.h"
#include "jobs/job.h"
#include "limits/cgroup.h"
#include "limits/seccomp.h"
#include "machine/disk.h"
#include "machine/modprobe.h"
#include "operations.h"
#include "pod/nics.h"
#include "pod/pod-namespaces.h"
#include "pod/pod.h"
#include "process/process.h"
#include "protocol/agent.h"
#include "shares/share-changes.h"
#include "teardown.h"
#include "wire/channel.h"
#include "wire/port.h"

static void must_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
    mkdir(target, 0755);
    if (mount(source, target, type, flags, data) < 0)
        die("mount %s at %s: %s", type, target, strerror(errno));
}

/* pivot_root can't leave the initramfs, since that is the root of all mounts: a bind of it on top of it can be left.
 * What the kernel starts by itself (modprobe) keeps seeing the same files below. */
static void leave_rootfs(void)
{
    if (mount("/", "/newroot", NULL, MS_BIND | MS_REC, NULL) < 0 || chdir("/newroot") < 0 ||
        mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        die("change root: %s", strerror(errno));
}

static void write_setting(const char *path, const char *value)
{
    auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        log_line("write %s: %s", path, strerror(errno));
}

static void prepare_machine(void)
{
    umask(022);
    must_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
    for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 3; fd = dup(fd))
        if (fd == STDERR_FILENO)
            break;
    log_open();
    must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    load_boot_modules();
    mount_extra();
    must_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    must_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    must_mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666");
    must_mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    cgroups_open();
    leave_rootfs();
    mkdir("/run/c", 0711);
    write_setting("/proc/sys/kernel/modprobe", "/sbin/modprobe");
    /* What Debian's docker.service and systemd give a container; its own limits come on top. */
    struct rlimit files = { 1048576, 1048576 }, none = { RLIM_INFINITY, RLIM_INFINITY };
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_NPROC, &none);
    setrlimit(RLIMIT_CORE, &none);
    write_setting("/proc/sys/kernel/pid_max", "4194304");
}

/* The port's name is in sysfs; there is no udev to make /dev/virtio-ports. */
static void find_port(char path[300])
{
    for (int attempt = 0; attempt < 5000; attempt++) {
        auto_directory directory = opendir("/sys/class/virtio-ports");
        for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
            char name[64] = "", file[300];
            snprintf(file, sizeof(file), "%s/name", entry->d_name);
            auto_fd fd = openat(dirfd(directory), file, O_RDONLY | O_CLOEXEC);
            if (fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 &&
                strncmp(name, AGENT_PORT_NAME "\n", sizeof(AGENT_PORT_NAME)) == 0) {
                snprintf(path, 300, "/dev/%s", entry->d_name);
                return;
            }
        }
        usleep(1000);
    }
    die("there is no port " AGENT_PORT_NAME);
}

static json_t *hello(void)
{
    json_t *containers = json_array(), *execs = json_array(), *channels = json_array();
    for (const struct process *process = process_first(); process != NULL; process = process->next) {
        if (process->state == PROCESS_STARTING)
            continue;
        const char *state = process->state == PROCESS_RUNNING ? "running" : "exited";
        if (process->kind == PROCESS_CONTAINER)
            json_array_append_new(
                containers, json_pack("{s:s, s:i, s:s}", "id", process->id, "pid", (int)process->pid, "state", state));
        else
            json_array_append_new(execs, json_pack("{s:s, s:s, s:i, s:s}", "id", process->id, "containerId",
                                                   process->container->id, "pid", (int)process->pid, "state", state));
    }
    for (const struct channel *channel = channel_first(); channel != NULL; channel = channel->next)
        json_array_append_new(channels, json_pack("{s:I, s:I, s:I, s:I}", "channel", (json_int_t)channel->id,
                                                  "outAcked", (json_int_t)channel->out_acked, "outEnd",
                                                  (json_int_t)(channel->out_acked + channel->out.used), "inReceived",
                                                  (json_int_t)channel->in_received));
    return json_pack("{s:i, s:i, s:s, s:b, s:b, s:o, s:o, s:o}", "version", PROTOCOL_VERSION, "oldest",
                     OLDEST_PROTOCOL_VERSION, "build", AGENT_BUILD, "identified", was_identified(), "pod", pod.exists,
                     "containers", containers, "execs", execs, "channels", channels);
}

static void before_blocking(void)
{
    teardown_continue();
    port_flush();
}

int main(int argc, char **argv)
{
    const char *base = strrchr(argv[0], '/');
    if (strcmp(base != NULL ? base + 1 : argv[0], "modprobe") == 0)
        return modprobe_main(argc, argv);
    if (getpid() != 1) {
        fprintf(stderr, "this is the first process of a Caisson VM\n");
        return 2;
    }
    prepare_machine();
    loop_open();
    processes_open();
    processes_on_other_child(worker_reaped);
    event_on_acknowledged(execs_sweep);
    port_on_greeted(jobs_kill);
    namespaces_open();
    nics_open();
    disks_open(containers_disks_changed);
    pod_prepare();
    seccomp_prepare();
    share_changes_prepare();
    char path[300];
    find_port(path);
    port_open(path, hello, handle_request);
    log_line("ready after %lld ms, build " AGENT_BUILD, (long long)monotonic_ms());
    loop_run(before_blocking);
}
