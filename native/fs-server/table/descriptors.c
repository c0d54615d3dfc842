#include "table/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    WANTED = 1 << 20,
    /* Connections of the daemon, fanotify, and what a request opens besides. */
    OURS = 64,
};

static int guests_end = INT_MAX;

size_t prepare_descriptors(void)
{
    struct rlimit limit = { WANTED, WANTED };
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < INT_MAX)
        guests_end = (int)limit.rlim_cur - OURS;
    return limit.rlim_cur;
}

int guest_descriptor(int fd)
{
    if (fd < guests_end)
        return fd;
    close(fd);
    errno = EMFILE;
    return -1;
}

bool has_descriptors(void)
{
    /* The lowest that is free is the one that comes next. */
    int next = guest_descriptor(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    if (next < 0)
        return false;
    close(next);
    errno = EMFILE;
    return next + 1 < guests_end;
}
