/* Kernel parameters, by dotted name. */
#include "core/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

static int write_one(const char *name, const json_t *value, struct failure *failure)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "/proc/sys/%s", name);
    if (length >= (int)sizeof(path) || strstr(name, "..") != NULL || !json_is_string(value))
        return fail(failure, EINVAL, PHASE_REQUEST, "bad sysctl %s", name);
    /* Dots part the name; a slash stands for a dot in an interface's name. */
    for (char *letter = path + strlen("/proc/sys/"); *letter != '\0'; letter++)
        if (*letter == '.' || *letter == '/')
            *letter = *letter == '.' ? '/' : '.';
    auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "open %s", path);
    if (write(fd, json_string_value(value), json_string_length(value)) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "write %s", path);
    return 0;
}

int sysctls_write(const json_t *sysctls, struct failure *failure)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)sysctls, name, value) {
        int result = write_one(name, value, failure);
        if (result < 0)
            return result;
    }
    return 0;
}
