/* The host's file server learns here which shared files are watched by inotify, and tells what others change in them. Each
 * change is done again, by system calls on the share: so the kernel tells whoever watches. The file server answers them as done
 * and does nothing (native/fs-server/operations/replay.c).
 *
 * That somebody watches a file is seen by a probe in the kernel (a kprobe, read through perf): it costs nothing until then. */
#include "shares/share-changes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "protocol/agent.h"
#include "protocol/share-changes-protocol.h"

#define TRACING "/sys/kernel/tracing"
/* The kernel adds a watch: of inotify, or of fanotify. */
#define PROBE "p:caisson/watch fsnotify_add_mark_locked"

enum {
    PAGE = 4096,
    /* Of FUSE in the kernel's export interface: a node's number and its generation. */
    FUSE_HANDLE_TYPE = 0x81,
    /* How long the kernel takes from the probe to the watch, with much room. */
    SETTLE_MICROSECONDS = 1000,
    /* A look at all processes is followed by a pause of so many times its length. */
    REST = 4,
    /* Milliseconds after which it is looked again whether anybody watches, before anything is done again. */
    LOOK_AGAIN = 1000,
};

static int probes[SHARE_CHANGES_MAX_PROBES];
static int probe_count;

/* ---- the probe ---- */

static bool write_text(const char *path, const char *text)
{
    auto_fd fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static long read_number(const char *path)
{
    auto_file file = fopen(path, "re");
    long number = -1;
    return file != NULL && fscanf(file, "%ld", &number) == 1 ? number : -1;
}

static void open_probes(void)
{
    long id = write_text(TRACING "/kprobe_events", PROBE) ? read_number(TRACING "/events/caisson/watch/id") : -1;
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_TRACEPOINT,
        .size = sizeof(attributes),
        .config = (uint64_t)id,
        .sample_period = 1,
        .wakeup_events = 1,
    };
    long processors = sysconf(_SC_NPROCESSORS_CONF);
    for (long cpu = 0; id >= 0 && cpu < processors && probe_count < SHARE_CHANGES_MAX_PROBES; cpu++) {
        int fd = (int)syscall(SYS_perf_event_open, &attributes, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
        if (fd >= 0)
            probes[probe_count++] = fd;
    }
}

void share_changes_prepare(void)
{
    if (mount("tracefs", TRACING, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
        log_line("mount tracefs: %s", strerror(errno));
        return;
    }
    open_probes();
    umount2(TRACING, MNT_DETACH);
    if (probe_count == 0)
        log_line("watches of shared files won't be seen: %s", strerror(errno));
}

int share_changes_descriptors(const int **descriptors)
{
    *descriptors = probes;
    return probe_count;
}

/* ---- who watches what ---- */

struct watches {
    struct share_watches *part;
    uint32_t flags;
    bool any;
};

static dev_t shares_device;
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;
static int64_t looked_at; /* milliseconds */

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void send_part(struct watches *watches, uint32_t flags)
{
    watches->part->flags = watches->flags | flags;
    setxattr(SHARES_DIRECTORY, SHARE_WATCHES_ATTRIBUTE, watches->part,
             sizeof(*watches->part) + watches->part->count * sizeof(watches->part->list[0]), 0);
    watches->flags = 0;
    watches->part->count = 0;
}

/* A line of an inotify descriptor's fdinfo: proc(5). The handle is printed byte by byte. */
static void note_line(struct watches *watches, const char *line)
{
    unsigned device, events, type, bytes[8];
    const char *handle = strstr(line, "fhandle-type:");
    if (sscanf(line, "inotify wd:%*x ino:%*x sdev:%x mask:%x", &device, &events) != 2 || handle == NULL ||
        device != (major(shares_device) << 20 | minor(shares_device)) ||
        sscanf(handle, "fhandle-type:%x f_handle:%2x%2x%2x%2x%2x%2x%2x%2x", &type, &bytes[0], &bytes[1], &bytes[2],
               &bytes[3], &bytes[4], &bytes[5], &bytes[6], &bytes[7]) != 9 ||
        type != FUSE_HANDLE_TYPE)
        return;
    uint64_t halves[2] = { 0, 0 }; /* the higher one first */
    for (int i = 0; i < 8; i++)
        halves[i / 4] |= (uint64_t)bytes[i] << i % 4 * 8;
    watches->part->list[watches->part->count++] =
        (struct share_watch){ .node = halves[0] << 32 | halves[1], .events = events };
    watches->any = true;
    if (watches->part->count == SHARE_WATCHES_PART)
        send_part(watches, 0);
}

static void look_at_process(struct watches *watches, int process)
{
    char *line = NULL;
    size_t size = 0;
    int fds = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_directory directory = fds < 0 ? NULL : fdopendir(fds);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char target[32], path[300];
        ssize_t length = readlinkat(fds, entry->d_name, target, sizeof(target));
        if (length != sizeof("anon_inode:inotify") - 1 || memcmp(target, "anon_inode:inotify", (size_t)length) != 0)
            continue;
        snprintf(path, sizeof(path), "fdinfo/%s", entry->d_name);
        int fd = openat(process, path, O_RDONLY | O_CLOEXEC);
        auto_file file = fd < 0 ? NULL : fdopen(fd, "r");
        while (file != NULL && getline(&line, &size, file) > 0)
            note_line(watches, line);
    }
    free(line);
}

/* Tells the file server; true if anything of the shares is watched. */
static bool look(void)
{
    pthread_mutex_lock(&looking);
    struct watches watches = {
        .part = malloc(sizeof(*watches.part) + SHARE_WATCHES_PART * sizeof(watches.part->list[0])),
        .flags = SHARE_WATCHES_FIRST,
    };
    auto_directory processes = opendir("/proc");
    if (watches.part != NULL)
        watches.part->count = 0;
    for (struct dirent *entry; processes != NULL && watches.part != NULL && (entry = readdir(processes)) != NULL;) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        auto_fd process = openat(dirfd(processes), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (process >= 0)
            look_at_process(&watches, process);
    }
    static bool told;
    if (watches.part != NULL && (watches.any || told))
        send_part(&watches, SHARE_WATCHES_LAST);
    told = watches.any;
    free(watches.part);
    looked_at = milliseconds();
    pthread_mutex_unlock(&looking);
    return watches.any;
}

/* ---- doing it again ---- */

static int shares_root = -1, elsewhere = -1;

/* O_PATH; -1 if the kernel has forgotten it, and so nobody watches it. */
static int open_node(uint64_t node)
{
    struct {
        struct file_handle head;
        uint32_t words[3];
    } handle = { .head = { .handle_bytes = sizeof(handle.words), .handle_type = FUSE_HANDLE_TYPE },
                 .words = { (uint32_t)(node >> 32), (uint32_t)node, 0 } };
    return open_by_handle_at(shares_root, &handle.head, O_PATH | O_CLOEXEC);
}

/* The modification time alone is what a write changes (IN_MODIFY), both are attributes (IN_ATTRIB). The file server answers
 * with the times that the file has. */
static const struct timespec modified[2] = { { .tv_nsec = UTIME_OMIT }, { 0 } }, attributes[2] = { { 0 }, { 0 } };

static void fd_path(char path[32], int fd)
{
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

static void touch(int node, const char *name, const struct timespec times[2])
{
    char path[32];
    fd_path(path, node);
    if (*name != '\0')
        utimensat(node, name, times, AT_SYMLINK_NOFOLLOW);
    else
        utimensat(AT_FDCWD, path, times, 0);
}

/* Never a device: it would be the VM's own. */
static void open_and_close(int node, const char *name)
{
    auto_fd file = *name != '\0' ? openat(node, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : dup(node);
    struct stat status;
    char path[32];
    if (file < 0 || fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    fd_path(path, file);
    int opened = open(path, O_WRONLY | O_CLOEXEC);
    if (opened >= 0)
        close(opened);
}

static void create(int directory, const struct share_change *change)
{
    if (S_ISDIR(change->type))
        mkdirat(directory, change->name, 0700);
    else if (S_ISLNK(change->type))
        symlinkat(".", directory, change->name);
    else
        mknodat(directory, change->name, change->type | 0600, 0);
}

/* Its links are none by now, as the answer to touch() tells; a name that the kernel still has for it is looked up, which drops
 * it. When nobody has it open the kernel says IN_DELETE_SELF. */
static void let_go(int node)
{
    char path[32], name[4097];
    touch(node, "", attributes);
    fd_path(path, node);
    ssize_t length = readlink(path, name, sizeof(name) - 1);
    if (length <= 0)
        return;
    name[length] = '\0';
    if (strncmp(name, SHARES_DIRECTORY "/", sizeof(SHARES_DIRECTORY)) == 0)
        faccessat(AT_FDCWD, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void move(int node, int new_node, const struct share_change *change)
{
    renameat(change->node == 0 ? elsewhere : node, change->name, change->new_node == 0 ? elsewhere : new_node,
             change->new_name);
}

static void replay(const struct share_change *change)
{
    auto_fd node = change->node == 0 ? -1 : open_node(change->node);
    auto_fd new_node = change->new_node == 0 ? -1 : open_node(change->new_node);
    if ((change->node != 0 && node < 0) || (change->new_node != 0 && new_node < 0))
        return;
    switch ((enum share_change_kind)change->kind) {
    case SHARE_MODIFIED:
        touch(node, change->name, modified);
        return;
    case SHARE_ATTRIBUTES:
        touch(node, change->name, attributes);
        return;
    case SHARE_CLOSED:
        open_and_close(node, change->name);
        return;
    case SHARE_CREATED:
        create(node, change);
        return;
    case SHARE_DELETED:
        unlinkat(node, change->name, S_ISDIR(change->type) ? AT_REMOVEDIR : 0);
        return;
    case SHARE_RENAMED:
        move(node, new_node, change);
        return;
    case SHARE_GONE:
        let_go(node);
    }
}

static void *replay_changes(void *unused)
{
    (void)unused;
    struct share_change change;
    while (getxattr(SHARES_DIRECTORY, SHARE_CHANGE_ATTRIBUTE, &change, sizeof(change)) == sizeof(change)) {
        if (elsewhere < 0)
            elsewhere = open(SHARES_DIRECTORY "/" SHARE_ELSEWHERE, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (milliseconds() - looked_at > LOOK_AGAIN)
            look();
        replay(&change);
    }
    return NULL;
}

static bool start_replaying(void)
{
    struct stat status;
    pthread_t thread;
    shares_root = open(SHARES_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (shares_root < 0 || fstat(shares_root, &status) < 0)
        return false;
    shares_device = status.st_dev;
    return pthread_create(&thread, NULL, replay_changes, NULL) == 0;
}

/* ---- the thread that waits for watches ---- */

struct watcher {
    int count;
    struct pollfd polled[SHARE_CHANGES_MAX_PROBES];
    struct perf_event_mmap_page *rings[SHARE_CHANGES_MAX_PROBES];
};

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    bool replaying = false;
    for (;;) {
        if (poll(watcher->polled, (nfds_t)watcher->count, -1) < 0 && errno != EINTR)
            return NULL;
        /* What the records say doesn't matter. */
        for (int i = 0; i < watcher->count; i++)
            watcher->rings[i]->data_tail = __atomic_load_n(&watcher->rings[i]->data_head, __ATOMIC_ACQUIRE);
        if (!replaying && !(replaying = start_replaying()))
            return NULL;
        usleep(SETTLE_MICROSECONDS);
        int64_t start = milliseconds();
        look();
        usleep((useconds_t)((milliseconds() - start) * REST * 1000));
    }
}

void share_changes_start(int first, int count)
{
    struct watcher *watcher = count > 0 ? calloc(1, sizeof(*watcher)) : NULL;
    if (watcher == NULL)
        return;
    for (int fd = first; fd < first + count; fd++) {
        void *ring = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (ring == MAP_FAILED)
            continue;
        watcher->rings[watcher->count] = ring;
        watcher->polled[watcher->count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
    pthread_t thread;
    if (watcher->count == 0 || pthread_create(&thread, NULL, watch, watcher) != 0)
        free(watcher);
}
