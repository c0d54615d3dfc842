/* Namespaces by descriptor. */
#include "core/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/log.h"

struct own_namespaces own = { -1, -1, -1, -1 };

static int open_one(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("open %s: %s", path, strerror(errno));
    return fd;
}

void namespaces_open(void)
{
    own.net = open_one("/proc/self/ns/net");
    own.ipc = open_one("/proc/self/ns/ipc");
    own.uts = open_one("/proc/self/ns/uts");
    own.pid = open_one("/proc/self/ns/pid");
}
