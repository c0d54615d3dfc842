/* shares: what the guest has of the host's while it runs: files by FUSE over a port, news of their changes, and unix sockets.
 *
 * Files shared by the host, and the pump between /dev/fuse and the port. */
#include "shares/shares.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archives/tar-read.h"
#include "archives/tar-write.h"
#include "core/affinity.h"
#include "core/cleanup.h"
#include "core/write-all.h"
#include "paths/resolve.h"
#include "protocol/agent.h"
#include "shares/pump-cpu.h"
#include "shares/share-changes.h"
#include "shares/share-notices.h"

#define PORT_NAME "caisson.fuse.0"

enum {
    MAX_WRITE = 1 << 20,
    BUFFER = MAX_WRITE + 65536,
    LOCK_BITS = 1 << 16,
    /* Of a port in sysfs ("vport0p2"). */
    DEVICE_NAME = 32,
    /* Of the pump's child after close_range. */
    FUSE_FD = 3,
    PORT_FD = 4,
    /* Those of share-changes.h follow. */
    PROBE_FD = 5,
    MAX_FD = PROBE_FD + SHARE_CHANGES_MAX_PROBES,
};

static bool mounted;

/* ---- the pump: a process of its own, so that PID 1 never waits for the host ---- */

/* Files that somebody has asked for a lock on, by a hash of their numbers: two may share a bit. */
static uint64_t asked_for_locks[LOCK_BITS / 64];

static uint64_t *lock_word(uint64_t node)
{
    return &asked_for_locks[node % LOCK_BITS / 64];
}

/* Every close is a FLUSH, which lets go of the process's locks and does nothing else at the host: it has no need to get
 * there for a file on which nobody has locks. The host knows no ioctl: most ask whether a file is a terminal. */
static bool answer_here(const struct fuse_in_header *request)
{
    uint64_t bit = UINT64_C(1) << request->nodeid % 64;
    if (request->opcode == FUSE_SETLK || request->opcode == FUSE_SETLKW)
        *lock_word(request->nodeid) |= bit;
    bool needless_flush = request->opcode == FUSE_FLUSH && (*lock_word(request->nodeid) & bit) == 0;
    if (!needless_flush && request->opcode != FUSE_IOCTL)
        return false;
    struct fuse_out_header answer = { .len = sizeof(answer), .unique = request->unique };
    answer.error = request->opcode == FUSE_IOCTL ? -ENOSYS : 0;
    while (write(FUSE_FD, &answer, sizeof(answer)) < 0 && errno == EINTR)
        ;
    return true;
}

struct carrying {
    void *buffer;
    pid_t answers;
    const char *device;
};

/* Requests: each read gives one, whole. */
static void *carry_requests(void *argument)
{
    struct carrying *carrying = argument;
    void *buffer = carrying->buffer;
    pump_cpu_start(carrying->answers, carrying->device);
    for (;;) {
        ssize_t got = read(FUSE_FD, buffer, BUFFER);
        if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
            continue;
        if (got > 0 && answer_here(buffer))
            continue;
        if (got <= 0 || write_all(PORT_FD, buffer, (size_t)got) < 0)
            _exit(0);
        pump_cpu_request(buffer);
    }
}

/* Answers: each must be written whole. One that the kernel no longer wants (ENOENT: interrupted) is no error. One read
 * usually gives a short one whole, or several. */
static void carry_answers(char *buffer)
{
    size_t have = 0;
    for (;;) {
        struct fuse_out_header header = { .len = sizeof(header) };
        if (have >= sizeof(header))
            memcpy(&header, buffer, sizeof(header));
        if (header.len < sizeof(header) || header.len > BUFFER)
            _exit(0);
        if (have < sizeof(header) || have < header.len) {
            ssize_t got = read(PORT_FD, buffer + have, BUFFER - have);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                _exit(0);
            have += (size_t)got;
            continue;
        }
        if (header.unique == 0)
            share_notices_add(buffer, header.len);
        else
            while (write(FUSE_FD, buffer, header.len) < 0 && errno == EINTR)
                ;
        have -= header.len;
        memmove(buffer, buffer + header.len, have);
    }
}

/* Descriptors of the pump's child: these from FUSE_FD on, and no other. Returns how many are probes. */
static int keep_descriptors(int fuse, int port)
{
    const int *probes;
    int end = PROBE_FD + share_changes_descriptors(&probes);
    int kept[MAX_FD];
    for (int fd = FUSE_FD; fd < end; fd++) {
        int from = fd == FUSE_FD ? fuse : fd == PORT_FD ? port : probes[fd - PROBE_FD];
        if ((kept[fd] = fcntl(from, F_DUPFD, MAX_FD)) < 0)
            _exit(1);
    }
    for (int fd = FUSE_FD; fd < end; fd++)
        if (dup2(kept[fd], fd) < 0)
            _exit(1);
    close_range((unsigned)end, ~0U, 0);
    return end - PROBE_FD;
}

static void pump(int fuse, int port, const char *device)
{
    int probe_count = keep_descriptors(fuse, port);
    affinity_any();
    prctl(PR_SET_NAME, "shares");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /* Touched only as far as messages are long. */
    char *requests = malloc(BUFFER), *answers = malloc(BUFFER);
    pthread_t thread;
    struct carrying carrying = { .buffer = requests, .answers = gettid(), .device = device };
    if (requests == NULL || answers == NULL || share_notices_start(FUSE_FD) != 0 ||
        pthread_create(&thread, NULL, carry_requests, &carrying) != 0)
        _exit(1);
    share_changes_start(PROBE_FD, probe_count);
    carry_answers(answers);
}

/* Opens the port by its name in sysfs: there is no udev to make /dev/virtio-ports. */
static int open_port(char device[DEVICE_NAME])
{
    auto_directory directory = opendir("/sys/class/virtio-ports");
    if (directory == NULL)
        return -errno;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[320], name[64] = "";
        snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
        auto_file file = fopen(path, "re");
        if (file == NULL || fgets(name, sizeof(name), file) == NULL)
            continue;
        name[strcspn(name, "\n")] = '\0';
        if (strcmp(name, PORT_NAME) != 0)
            continue;
        snprintf(device, DEVICE_NAME, "%.*s", DEVICE_NAME - 1, entry->d_name);
        snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    return -ENODEV;
}

int shares_mount(const json_t *params, struct failure *failure)
{
    (void)params;
    if (mounted)
        return 0;
    char device[DEVICE_NAME];
    auto_fd port = open_port(device);
    if (port < 0)
        return fail_errno(failure, port, PHASE_MOUNT, "open the port " PORT_NAME);
    auto_fd fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "open /dev/fuse");
    if (mkdir(SHARES_DIRECTORY, 0700) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make " SHARES_DIRECTORY);
    char options[160];
    snprintf(options, sizeof(options),
             "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other,max_read=%d", fuse, MAX_WRITE);
    if (mount("caisson", SHARES_DIRECTORY, "fuse.caisson", 0, options) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "mount " SHARES_DIRECTORY);
    pid_t child = fork();
    if (child == 0)
        pump(fuse, port, device);
    if (child < 0) {
        umount2(SHARES_DIRECTORY, MNT_DETACH);
        return fail_errno(failure, errno, PHASE_MOUNT, "start the pump of the shares");
    }
    mounted = true;
    return 0;
}

/* ---- a volume's first use ---- */

static bool is_empty(const char *path)
{
    auto_directory directory = opendir(path);
    if (directory == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return false;
    return true;
}

/* Why unpacking failed, for the process that packs: in memory that both have. */
struct unpacking {
    int error;
    char message[256];
};

static void unpack(int from, const char *to, struct unpacking *unpacking)
{
    signal(SIGPIPE, SIG_IGN);
    if (chroot(to) < 0 || chdir("/") < 0)
        unpacking->error = -errno;
    else
        unpacking->error = tar_read(from, "/", (struct tar_read_options){ .any_symlinks = true }, unpacking->message,
                                    sizeof(unpacking->message));
}

/* One process packs, another unpacks with the share as its root: both ends know every kind of file already. */
static int copy_tree(int from, const char *to, struct failure *failure)
{
    int ends[2];
    struct unpacking *unpacking =
        mmap(NULL, sizeof(*unpacking), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (unpacking == MAP_FAILED)
        return fail_errno(failure, errno, PHASE_IO, "map memory");
    if (pipe2(ends, O_CLOEXEC) < 0) {
        munmap(unpacking, sizeof(*unpacking));
        return fail_errno(failure, errno, PHASE_IO, "make a pipe");
    }
    pid_t reader = fork();
    if (reader == 0) {
        close(ends[1]);
        unpack(ends[0], to, unpacking);
        _exit(unpacking->error < 0 ? 1 : 0);
    }
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    char culprit[256] = "";
    int result = reader < 0 ? -errno
                            : tar_write(ends[1], from, ".", "", (struct tar_write_options){ .one_file_system = true },
                                        culprit, sizeof(culprit));
    close(ends[1]);
    signal(SIGPIPE, SIG_DFL);
    int status = 1;
    while (reader > 0 && waitpid(reader, &status, 0) < 0 && errno == EINTR)
        ;
    if (unpacking->error < 0) /* and the writer's pipe broke for it */
        result = fail_errno(failure, unpacking->error, PHASE_IO, "fill the volume: %s", unpacking->message);
    else if (result < 0 || status != 0)
        result = fail_errno(failure, result < 0 ? result : -EIO, PHASE_IO, "copy %s into the volume", culprit);
    munmap(unpacking, sizeof(*unpacking));
    return result;
}

int shares_populate(int root, const char *target, const char *share, struct failure *failure)
{
    auto_fd source = resolve_open(root, target, RESOLVE_EXISTING);
    struct stat status;
    if (source < 0 || fstat(source, &status) < 0 || !S_ISDIR(status.st_mode) || !is_empty(share))
        return 0;
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", source);
    auto_fd directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return fail_errno(failure, errno, PHASE_IO, "open %s of the image", target);
    int result = copy_tree(directory, share, failure);
    if (result < 0)
        return result;
    /* The volume's own directory looks like the image's. */
    if (chown(share, status.st_uid, status.st_gid) < 0 || chmod(share, status.st_mode & 07777) < 0)
        return fail_errno(failure, errno, PHASE_IO, "set the owner of the volume");
    return 0;
}
