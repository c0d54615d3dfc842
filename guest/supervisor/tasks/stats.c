#include "tasks/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "commands/sweep.h"
#include "core/cleanup.h"
#include "core/write-all.h"
#include "limits/cgroup.h"

/* What cgroup v1 says where nothing limits: the largest multiple of a page. */
#define NO_LIMIT (UINT64_C(1) << 62)

static json_t *number(unsigned long long value)
{
    return json_integer((json_int_t)value);
}

static unsigned long long read_number(int group, const char *name, unsigned long long otherwise)
{
    char text[64], *end;
    if (cgroup_read(group, name, text, sizeof(text)) <= 0)
        return otherwise;
    unsigned long long value = strtoull(text, &end, 10);
    return end == text ? otherwise : value;
}

static unsigned long long total_memory(void)
{
    return (unsigned long long)sysconf(_SC_PHYS_PAGES) * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static unsigned long long limit_of(int group, const char *name)
{
    unsigned long long limit = read_number(group, name, total_memory());
    return limit >= NO_LIMIT ? total_memory() : limit;
}

static json_t *cpu_v2(int group)
{
    char text[2048] = "";
    cgroup_read(group, "cpu.stat", text, sizeof(text));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "usageUsec", number(cgroup_key(text, "usage_usec")), "userUsec",
                     number(cgroup_key(text, "user_usec")), "systemUsec", number(cgroup_key(text, "system_usec")),
                     "throttledUsec", number(cgroup_key(text, "throttled_usec")), "periods",
                     number(cgroup_key(text, "nr_periods")), "throttled", number(cgroup_key(text, "nr_throttled")));
}

static json_t *cpu_v1(int group)
{
    char text[1024] = "";
    cgroup_read(group, "cpu/cpu.stat", text, sizeof(text));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "usageUsec",
                     number(read_number(group, "cpuacct/cpuacct.usage", 0) / 1000), "userUsec",
                     number(read_number(group, "cpuacct/cpuacct.usage_user", 0) / 1000), "systemUsec",
                     number(read_number(group, "cpuacct/cpuacct.usage_sys", 0) / 1000), "throttledUsec",
                     number(cgroup_key(text, "throttled_time") / 1000), "periods",
                     number(cgroup_key(text, "nr_periods")), "throttled", number(cgroup_key(text, "nr_throttled")));
}

static json_t *memory(int group, bool v2)
{
    char text[8192] = "";
    json_t *details = json_object();
    cgroup_read(group, v2 ? "memory.stat" : "memory/memory.stat", text, sizeof(text));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *space = strchr(line, ' ');
        if (space == NULL)
            continue;
        *space = '\0';
        json_object_set_new(details, line, number(strtoull(space + 1, NULL, 10)));
    }
    unsigned long long usage = read_number(group, v2 ? "memory.current" : "memory/memory.usage_in_bytes", 0);
    return json_pack("{s:o, s:o, s:o, s:o}", "usageBytes", number(usage), "maxUsageBytes",
                     number(read_number(group, v2 ? "memory.peak" : "memory/memory.max_usage_in_bytes", usage)),
                     "limitBytes", number(limit_of(group, v2 ? "memory.max" : "memory/memory.limit_in_bytes")), "stat",
                     details);
}

static void add_io(json_t *list, unsigned major, unsigned minor, const unsigned long long counts[4])
{
    json_array_append_new(list, json_pack("{s:i, s:i, s:o, s:o, s:o, s:o}", "major", (int)major, "minor", (int)minor,
                                          "readBytes", number(counts[0]), "writeBytes", number(counts[1]), "reads",
                                          number(counts[2]), "writes", number(counts[3])));
}

/* Lines `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`. */
static json_t *io_v2(int group)
{
    char text[16384] = "";
    json_t *list = json_array();
    cgroup_read(group, "io.stat", text, sizeof(text));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        unsigned major, minor;
        unsigned long long counts[4];
        if (sscanf(line, "%u:%u rbytes=%llu wbytes=%llu rios=%llu wios=%llu", &major, &minor, &counts[0], &counts[1],
                   &counts[2], &counts[3]) == 6)
            add_io(list, major, minor, counts);
    }
    return list;
}

/* Lines `8:0 Read 1`, `8:0 Write 2`, …, in this order for each device. */
static json_t *io_v1(int group)
{
    char text[16384] = "";
    json_t *list = json_array();
    cgroup_read(group, "blkio/blkio.throttle.io_service_bytes", text, sizeof(text));
    char *rest = text;
    unsigned long long counts[4] = { 0 };
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        unsigned major, minor;
        char operation[16];
        unsigned long long value;
        if (sscanf(line, "%u:%u %15s %llu", &major, &minor, operation, &value) != 4)
            continue;
        if (strcmp(operation, "Read") == 0)
            counts[0] = value;
        else if (strcmp(operation, "Write") == 0) {
            counts[1] = value;
            add_io(list, major, minor, counts);
        }
    }
    return list;
}

/* `  eth0: 8 numbers received, 8 sent`. */
static json_t *networks(void)
{
    json_t *all = json_object();
    auto_file file = fopen("/proc/self/net/dev", "re");
    auto_free char *line = NULL;
    size_t capacity = 0;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        char name[64];
        unsigned long long received[8], sent[4];
        int count = sscanf(line, " %63[^:]: %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu", name,
                           &received[0], &received[1], &received[2], &received[3], &received[4], &received[5],
                           &received[6], &received[7], &sent[0], &sent[1], &sent[2], &sent[3]);
        if (count != 13 || strcmp(name, "lo") == 0)
            continue;
        json_object_set_new(all, name,
                            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rxBytes", number(received[0]),
                                      "rxPackets", number(received[1]), "rxErrors", number(received[2]), "rxDropped",
                                      number(received[3]), "txBytes", number(sent[0]), "txPackets", number(sent[1]),
                                      "txErrors", number(sent[2]), "txDropped", number(sent[3])));
    }
    return all;
}

static unsigned long long system_usec(int cpus)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000) *
           (unsigned long long)cpus;
}

static json_t *disk(void)
{
    struct statvfs status = { 0 };
    statvfs("/", &status);
    return json_pack("{s:o, s:o}", "freeBytes", number((unsigned long long)status.f_bfree * status.f_frsize),
                     "totalBytes", number((unsigned long long)status.f_blocks * status.f_frsize));
}

static void add_threads(pid_t pid, void *argument)
{
    char path[64], line[256];
    unsigned long long *count = argument;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    auto_file file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Threads:", 8) == 0)
            *count += strtoull(line + 8, NULL, 10);
}

/* The group has those of the supervisor, too, and what daemons have started beside it. */
static unsigned long long container_threads(void)
{
    unsigned long long count = 0;
    sweep_visit(add_threads, &count);
    return count;
}

int stats_run(const json_t *params, char *message, size_t message_size)
{
    (void)params;
    auto_fd group = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0) {
        snprintf(message, message_size, "open %s: %s", CGROUP_ROOT, strerror(errno));
        return -errno;
    }
    bool v2 = faccessat(group, "cgroup.controllers", F_OK, 0) == 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long now_ms = (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
    json_t *pids = json_pack("{s:o, s:o}", "current", number(container_threads()), "limit",
                             number(read_number(group, v2 ? "pids.max" : "pids/pids.max", 0)));
    int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
    /* one right after the other: clients divide the one by the other */
    json_t *cpu = v2 ? cpu_v2(group) : cpu_v1(group);
    auto_json all =
        json_pack("{s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "timeMs", number(now_ms), "cpu", cpu, "vmUsec",
                  number(system_usec(cpus)), "onlineCpus", cpus, "memory", memory(group, v2), "pids", pids, "io",
                  v2 ? io_v2(group) : io_v1(group), "networks", networks(), "disk", disk());
    auto_free char *text = json_dumps(all, JSON_COMPACT);
    return text == NULL ? -ENOMEM : write_all(STDOUT_FILENO, text, strlen(text));
}
