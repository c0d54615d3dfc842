/* The cgroup v2 hierarchy: one leaf for each container below /sys/fs/cgroup/docker, as a client of Docker knows it. */
#include "limits/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "limits/device-filter.h"

static void enable_controllers(const char *path)
{
    char file[256], text[256];
    snprintf(file, sizeof(file), "%s/cgroup.controllers", path);
    auto_fd source = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t length = source >= 0 ? read(source, text, sizeof(text) - 1) : -1;
    if (length <= 0)
        return;
    text[length] = '\0';
    snprintf(file, sizeof(file), "%s/cgroup.subtree_control", path);
    auto_fd target = open(file, O_WRONLY | O_CLOEXEC);
    char *rest = text;
    for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
        char command[64];
        int size = snprintf(command, sizeof(command), "+%s", word);
        if (*word != '\0' && write(target, command, (size_t)size) < 0)
            log_line("cgroup controller %s: %s", word, strerror(errno));
    }
}

/* Linux rewrites its own code when the first group has a quota of CPU time or a filter of devices, and back after the last one: of the
 * scheduler, and on all processors. An emulator has to translate that anew each time, and QEMU 7.2 may do it wrongly
 * (native/preload/stale-code.c). So there is always one, made before the template is. */
static void hold_static_keys(void)
{
    struct failure failure;
    mkdir(CGROUP_HELD, 0755);
    auto_fd group = open(CGROUP_HELD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_json none = json_array();
    int filter = -1;
    if (cgroup_write_file(group, "cpu.max", "100000 100000") < 0 || device_filter_load(none, &filter, &failure) < 0 ||
        device_filter_attach(filter, group) < 0)
        log_line("no control group is held: the first container's limits change the kernel's code");
    if (filter >= 0)
        close(filter);
}

void cgroups_open(void)
{
    if (mount("cgroup2", CGROUP_ROOT, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate,memory_recursiveprot") <
        0)
        die("mount cgroup2: %s", strerror(errno));
    enable_controllers(CGROUP_ROOT);
    if (mkdir(CGROUP_PARENT, 0755) < 0 && errno != EEXIST)
        die("mkdir %s: %s", CGROUP_PARENT, strerror(errno));
    enable_controllers(CGROUP_PARENT);
    hold_static_keys();
}

int cgroup_create(const char *id, struct failure *failure)
{
    char path[256];
    snprintf(path, sizeof(path), CGROUP_PARENT "/%s", id);
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_CGROUP, "make cgroup %s", id);
    int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0)
        return fail_errno(failure, errno, PHASE_CGROUP, "open cgroup %s", id);
    return group;
}

int cgroup_write_file(int group, const char *name, const char *value)
{
    auto_fd fd = openat(group, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int cgroup_write(int group, const json_t *values, struct failure *failure)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, name, value) {
        if (!json_is_string(value) || strchr(name, '/') != NULL)
            return fail(failure, EINVAL, PHASE_REQUEST, "bad cgroup value %s", name);
        int result = cgroup_write_file(group, name, json_string_value(value));
        if (result < 0)
            return fail_errno(failure, result, PHASE_CGROUP, "failed to write \"%s\" to %s", json_string_value(value),
                              name);
    }
    return 0;
}

ssize_t cgroup_read(int group, const char *name, char *text, size_t size)
{
    auto_fd fd = openat(group, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, text + used, size - 1 - used);
        if (got < 0)
            return -errno;
        used += (size_t)got;
        if (got == 0 || used == size - 1)
            break;
    }
    text[used] = '\0';
    return (ssize_t)used;
}

unsigned long long cgroup_key(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return 0;
}

void cgroup_kill(int group)
{
    cgroup_write_file(group, "cgroup.kill", "1");
}

bool cgroup_populated(int group)
{
    char text[256];
    return cgroup_read(group, "cgroup.events", text, sizeof(text)) > 0 && cgroup_key(text, "populated") != 0;
}

static void visit_processes(int group, int depth, void (*visit)(pid_t pid, void *argument), void *argument)
{
    int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    auto_file file = fd >= 0 ? fdopen(fd, "r") : NULL;
    for (int pid; file != NULL && fscanf(file, "%d", &pid) == 1;)
        visit(pid, argument);
    if (depth == 0)
        return;
    /* A container may have made groups of its own. */
    int copy = openat(group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_directory directory = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        auto_fd child = openat(group, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (child >= 0)
            visit_processes(child, depth - 1, visit, argument);
    }
}

void cgroup_processes(int group, void (*visit)(pid_t pid, void *argument), void *argument)
{
    visit_processes(group, 16, visit, argument);
}

static void remove_children(int group, int depth)
{
    int copy = openat(group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_directory directory = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        auto_fd child = openat(group, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (child >= 0 && depth > 0)
            remove_children(child, depth - 1);
        unlinkat(group, entry->d_name, AT_REMOVEDIR);
    }
}

int cgroup_remove(const char *id)
{
    char path[256];
    snprintf(path, sizeof(path), CGROUP_PARENT "/%s", id);
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    auto_fd group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group >= 0)
        remove_children(group, 32);
    return rmdir(path) == 0 ? 0 : -errno;
}
