#include "sockets/sockets.h"

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

static int listeners[MOST_SOCKETS];
static int listener_count;
static struct timespec made;
static int error; /* an errno, of the path that */
static const char *failed;

static int open_parent(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int result = mkdir(path, 0755);
        int reason = errno;
        *slash = '/';
        if (result < 0 && reason != EEXIST)
            return -reason;
    }
    *strrchr(path, '/') = '\0';
    int parent = open(*path == '\0' ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return parent < 0 ? -errno : parent;
}

static int listen_at(const char *spec)
{
    char path[PATH_MAX];
    unsigned mode, uid, gid;
    int start = 0;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (sscanf(spec, "%o:%u:%u:%n", &mode, &uid, &gid, &start) != 3 || start == 0)
        return -EINVAL;
    const char *given = spec + start;
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
        fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 || fchmodat(parent, name, mode & 0777, 0) < 0 ||
        listen(listener, SOMAXCONN) < 0)
        return -errno;
    struct stat status;
    if (fstat(parent, &status) < 0)
        return -errno;
    made = status.st_ctim; /* later than those above it, and than those of others before */
    return take_fd(&listener);
}

void sockets_open(char *const specs[], int count)
{
    for (int i = 0; i < count && error == 0; i++) {
        int listener = listener_count < MOST_SOCKETS ? listen_at(specs[i]) : -EMFILE;
        if (listener >= 0) {
            listeners[listener_count++] = listener;
            continue;
        }
        error = -listener;
        failed = specs[i];
    }
}

int sockets_ready(struct failure *failure)
{
    return error == 0 ? 0
                      : fail_errno(failure, error, PHASE_MOUNT, "make the socket %s",
                                   strchr(failed, '/') == NULL ? failed : strchr(failed, '/'));
}

struct timespec sockets_made(void)
{
    return made;
}

void sockets_keep_only(void)
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

int sockets_listeners(const int **found)
{
    *found = listeners;
    return listener_count;
}
