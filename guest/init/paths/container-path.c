/* Paths of a client in a container, cleaned and evaluated as Docker does. */
#include "paths/container-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAX_LINKS 255

/* Appends one part to an absolute path; "/" is kept as "". */
static int append(char *path, size_t size, const char *part, size_t length)
{
    size_t used = strlen(path);
    if (length == 0 || (length == 1 && part[0] == '.'))
        return 0;
    if (length == 2 && part[0] == '.' && part[1] == '.') {
        char *slash = strrchr(path, '/');
        *(slash != NULL ? slash : path) = '\0';
        return 0;
    }
    if (used + length + 2 > size)
        return -ENAMETOOLONG;
    path[used] = '/';
    memcpy(path + used + 1, part, length);
    path[used + 1 + length] = '\0';
    return 0;
}

int container_path_open(int root, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root, *path == '\0' ? "/" : path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

int container_path_evaluate(int root, const char *path, char *resolved, size_t size)
{
    char rest[PATH_MAX], target[PATH_MAX], joined[PATH_MAX];
    if (snprintf(rest, sizeof(rest), "%s", path) >= (int)sizeof(rest))
        return -ENAMETOOLONG;
    *resolved = '\0';
    const char *at = rest + strspn(rest, "/");
    for (int links = 0; *at != '\0';) {
        size_t part = strcspn(at, "/"), before = strlen(resolved);
        int result = append(resolved, size, at, part);
        if (result < 0)
            return result;
        at += part;
        at += strspn(at, "/");
        if (strlen(resolved) <= before) /* ".", ".." */
            continue;
        auto_fd fd = container_path_open(root, resolved, O_PATH | O_NOFOLLOW);
        if (fd < 0 && fd != -ENOENT)
            return fd;
        ssize_t length = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
        if (length < 0)
            continue;
        if (++links > MAX_LINKS)
            return -ELOOP;
        target[length] = '\0';
        if (snprintf(joined, sizeof(joined), "%s/%s", target, at) >= (int)sizeof(joined))
            return -ENAMETOOLONG;
        resolved[*target == '/' ? 0 : before] = '\0';
        memcpy(rest, joined, sizeof(rest));
        at = rest + strspn(rest, "/");
    }
    if (*resolved == '\0')
        snprintf(resolved, size, "/");
    return 0;
}
