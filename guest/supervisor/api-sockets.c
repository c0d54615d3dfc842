#include "api-sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/failure.h"

static int listeners[MOST_API_SOCKETS];
static int listener_count;
static int error; /* an errno, of the path that */
static const char *failed;

static int open_parent(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0755);
        int reason = errno;
        *slash = '/';
        if (made < 0 && reason != EEXIST)
            return -reason;
    }
    *strrchr(path, '/') = '\0';
    int parent = open(*path == '\0' ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return parent < 0 ? -errno : parent;
}

static int listen_at(const char *given)
{
    char path[PATH_MAX];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (*given != '/' || strlen(given) >= sizeof(path))
        return -EINVAL;
    strcpy(path, given);
    auto_fd parent = open_parent(path);
    if (parent < 0)
        return parent;
    const char *name = strrchr(given, '/') + 1;
    /* an address has less room than a path */
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", parent, name);
    if ((size_t)length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        return -errno;
    auto_fd listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        fchmodat(parent, name, 0660, 0) < 0 || listen(listener, SOMAXCONN) < 0)
        return -errno;
    return take_fd(&listener);
}

void api_sockets_open(char *const paths[], int count)
{
    for (int i = 0; i < count && error == 0; i++) {
        int listener = listener_count < MOST_API_SOCKETS ? listen_at(paths[i]) : -EMFILE;
        if (listener >= 0) {
            listeners[listener_count++] = listener;
            continue;
        }
        error = -listener;
        failed = paths[i];
    }
}

int api_sockets_ready(struct failure *failure)
{
    return error == 0 ? 0 : fail_errno(failure, error, PHASE_MOUNT, "make the socket %s", failed);
}

void api_sockets_keep_only(void)
{
    for (unsigned from = STDERR_FILENO + 1;;) {
        unsigned kept = UINT_MAX;
        for (int i = 0; i < listener_count; i++)
            if ((unsigned)listeners[i] >= from && (unsigned)listeners[i] < kept)
                kept = (unsigned)listeners[i];
        if (kept > from)
            syscall(SYS_close_range, from, kept == UINT_MAX ? UINT_MAX : kept - 1, 0);
        if (kept == UINT_MAX)
            return;
        from = kept + 1;
    }
}

int api_sockets(const int **found)
{
    *found = listeners;
    return listener_count;
}
