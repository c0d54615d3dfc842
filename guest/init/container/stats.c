/* A container's counters, and the size of its disk. Shape: ContainerStats in src/vm/contract/protocol.ts. */
#include "container/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "container/container-table.h"
#include "core/cleanup.h"
#include "core/worker.h"
#include "core/write-all.h"
#include "limits/cgroup.h"
#include "process/process.h"

#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

static json_t *number(unsigned long long value)
{
    return json_integer((json_int_t)value);
}

/* A file of one number; `max` and a missing file are `otherwise`. */
static unsigned long long read_number(int group, const char *name, unsigned long long otherwise)
{
    char text[64], *end;
    if (cgroup_read(group, name, text, sizeof(text)) <= 0)
        return otherwise;
    unsigned long long value = strtoull(text, &end, 10);
    return end == text ? otherwise : value;
}

static json_t *cpu_stats(int group)
{
    char text[1024] = "";
    cgroup_read(group, "cpu.stat", text, sizeof(text));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "usageUsec", number(cgroup_key(text, "usage_usec")), "userUsec",
                     number(cgroup_key(text, "user_usec")), "systemUsec", number(cgroup_key(text, "system_usec")),
                     "throttledUsec", number(cgroup_key(text, "throttled_usec")), "periods",
                     number(cgroup_key(text, "nr_periods")), "throttled", number(cgroup_key(text, "nr_throttled")));
}

static unsigned long long total_memory(void)
{
    return (unsigned long long)sysconf(_SC_PHYS_PAGES) * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static json_t *memory_stats(const struct container *container)
{
    char text[4096] = "";
    json_t *details = json_object();
    cgroup_read(container->cgroup, "memory.stat", text, sizeof(text));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *space = strchr(line, ' ');
        if (space == NULL)
            continue;
        *space = '\0';
        json_object_set_new(details, line, number(strtoull(space + 1, NULL, 10)));
    }
    unsigned long long usage = read_number(container->cgroup, "memory.current", 0);
    /* memory.peak came with kernel 5.19. */
    return json_pack("{s:o, s:o, s:o, s:o}", "usageBytes", number(usage), "maxUsageBytes",
                     number(read_number(container->cgroup, "memory.peak", usage)), "limitBytes",
                     number(read_number(container->cgroup, "memory.max", total_memory())), "stat", details);
}

/* Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`. */
static json_t *io_stats(int group)
{
    char text[16384] = "";
    json_t *list = json_array();
    cgroup_read(group, "io.stat", text, sizeof(text));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        unsigned major, minor;
        unsigned long long read_bytes, write_bytes, reads, writes;
        if (sscanf(line, "%u:%u rbytes=%llu wbytes=%llu rios=%llu wios=%llu", &major, &minor, &read_bytes, &write_bytes,
                   &reads, &writes) != 6)
            continue;
        json_array_append_new(list, json_pack("{s:i, s:i, s:o, s:o, s:o, s:o}", "major", (int)major, "minor",
                                              (int)minor, "readBytes", number(read_bytes), "writeBytes",
                                              number(write_bytes), "reads", number(reads), "writes", number(writes)));
    }
    return list;
}

/* /proc/PID/net/dev of the container's first process: `  eth0: 8 numbers received, 8 sent`. */
static json_t *network_stats(const struct container *container)
{
    json_t *networks = json_object();
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/net/dev", container->process->pid);
    auto_file file = fopen(path, "re");
    auto_free char *line = NULL;
    size_t capacity = 0;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        char name[64];
        unsigned long long received[8], sent[8];
        int count = sscanf(line, " %63[^:]: %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", name,
                           &received[0], &received[1], &received[2], &received[3], &received[4], &received[5],
                           &received[6], &received[7], &sent[0], &sent[1], &sent[2], &sent[3]);
        if (count != 13 || strcmp(name, "lo") == 0)
            continue;
        json_object_set_new(networks, name,
                            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rxBytes", number(received[0]),
                                      "rxPackets", number(received[1]), "rxErrors", number(received[2]), "rxDropped",
                                      number(received[3]), "txBytes", number(sent[0]), "txPackets", number(sent[1]),
                                      "txErrors", number(sent[2]), "txDropped", number(sent[3])));
    }
    return networks;
}

/* Time of all CPUs together, busy or idle, in microseconds. The sum of /proc/stat is the same in principle, but counts timer
 * ticks, of which an emulated or crowded guest misses many: the container's share then looked larger than its limit. */
static unsigned long long system_usec(int cpus)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000) *
           (unsigned long long)cpus;
}

/* What no file has, reserves included: the superblock on the disk tells it when the file system is unmounted, not before. */
static json_t *disk_size(const struct container *container)
{
    char path[64];
    struct statvfs status = { 0 };
    snprintf(path, sizeof(path), "%s/w", container->directory);
    if (container->launched)
        statvfs(path, &status);
    return json_pack("{s:o, s:o}", "freeBytes", number((unsigned long long)status.f_bfree * status.f_frsize),
                     "totalBytes", number((unsigned long long)status.f_blocks * status.f_frsize));
}

void container_stats(struct request request, const json_t *params)
{
    struct failure failure;
    const struct container *container = container_need_running(params, &failure);
    if (container == NULL) {
        respond_failure(request, &failure);
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long now_ms = (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
    json_t *pids = json_pack("{s:o, s:o}", "current", number(read_number(container->cgroup, "pids.current", 0)),
                             "limit", number(read_number(container->cgroup, "pids.max", 0)));
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    /* one right after the other: clients divide the one by the other */
    json_t *cpu = cpu_stats(container->cgroup);
    unsigned long long system = system_usec(cpus);
    respond(request,
            json_pack("{s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "timeMs", number(now_ms), "cpu", cpu, "vmUsec",
                      number(system), "onlineCpus", cpus, "memory", memory_stats(container), "pids", pids, "io",
                      io_stats(container->cgroup), "networks", network_stats(container), "disk", disk_size(container)));
}

/* ---- growing ---- */

struct growth {
    struct request request;
    char path[64];
};

/* Prints the new size. */
static int grow(void *argument, struct failure *failure)
{
    const struct growth *growth = argument;
    auto_fd fd = open(growth->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    struct statfs file_system;
    if (fd < 0 || fstat(fd, &status) < 0 || fstatfs(fd, &file_system) < 0)
        return fail_errno(failure, errno, PHASE_DISK, "look at the disk");
    char path[64];
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/device/rescan", major(status.st_dev), minor(status.st_dev));
    /* The kernel asks for the size some time after it was told of the change. */
    auto_fd rescan = open(path, O_WRONLY | O_CLOEXEC);
    if (rescan >= 0 && write_all(rescan, "1", 1) < 0)
        return fail_errno(failure, errno, PHASE_DISK, "have the disk's size read");
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(status.st_dev), minor(status.st_dev));
    auto_file file = fopen(path, "re");
    unsigned long long sectors = 0;
    if (file == NULL || fscanf(file, "%llu", &sectors) != 1)
        return fail(failure, EIO, PHASE_DISK, "read the disk's size");
    uint64_t blocks = sectors * 512 / (uint64_t)file_system.f_bsize;
    if (blocks > (uint64_t)file_system.f_blocks && ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks) < 0)
        return fail_errno(failure, errno, PHASE_DISK, "grow the file system to %llu blocks",
                          (unsigned long long)blocks);
    printf("%llu", sectors * 512);
    fflush(stdout);
    return 0;
}

static void grown(void *argument, const char *output, size_t length, const struct failure *failure)
{
    struct growth *growth = argument;
    char text[32];
    snprintf(text, sizeof(text), "%.*s", (int)length, output);
    if (failure != NULL)
        respond_failure(growth->request, failure);
    else
        respond(growth->request, json_pack("{s:o}", "sizeBytes", number(strtoull(text, NULL, 10))));
    free(growth);
}

void container_grow_disk(struct request request, const json_t *params)
{
    struct failure failure;
    const struct container *container = container_need(params, &failure);
    struct growth *growth = container != NULL ? malloc(sizeof(*growth)) : NULL;
    int result = container == NULL ? -1 : 0;
    if (result == 0 && (!container->launched || container->removing || growth == NULL))
        result = fail(&failure, EINVAL, PHASE_DISK, "the disk of container %s is not mounted", container->id);
    if (result == 0) {
        growth->request = request;
        snprintf(growth->path, sizeof(growth->path), "%s/w", container->directory);
        result = worker_run(grow, grown, growth);
        if (result < 0)
            fail_errno(&failure, result, PHASE_IO, "start a helper process");
    }
    if (result < 0) {
        free(growth);
        respond_failure(request, &failure);
    }
}
