/* A Docker engine inside a privileged container: a place for its data. */
#include "machine/nested-engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "paths/resolve.h"

#define DATA_ROOT "/var/lib/docker"

static bool is_mounted(const json_t *spec)
{
    const json_t *mounts = json_object_get(spec, "mounts");
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const char *target = json_string_value(json_object_get(json_array_get(mounts, i), "target"));
        if (target != NULL && strcmp(target, DATA_ROOT) == 0)
            return true;
    }
    return false;
}

static bool has_engine(int root)
{
    static const char *const programs[] = { "/usr/sbin/dockerd", "/usr/bin/dockerd", "/usr/local/bin/dockerd" };
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        auto_fd program = resolve_open(root, programs[i], RESOLVE_EXISTING);
        if (program >= 0)
            return true;
    }
    return false;
}

int nested_engine_bind(const char *directory, int root, const json_t *spec, struct failure *failure)
{
    if (!json_is_true(json_object_get(spec, "privileged")) || is_mounted(spec) || !has_engine(root))
        return 0;
    char source[PATH_MAX], target[64];
    snprintf(source, sizeof(source), "%s/w/docker", directory);
    if (mkdir(source, 0710) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make %s", source);
    auto_fd at = resolve_open(root, DATA_ROOT, RESOLVE_MAKE_DIRECTORY);
    if (at < 0)
        return fail_errno(failure, at, PHASE_MOUNT, "make mount point %s", DATA_ROOT);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", at);
    if (mount(source, target, NULL, MS_BIND, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "bind %s to %s", source, DATA_ROOT);
    return 0;
}
