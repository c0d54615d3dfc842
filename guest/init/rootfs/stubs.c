/* Mount points that a build's step got made in its root. */
#include "rootfs/stubs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "paths/resolve.h"

/* Of the list: more mount points than a step may have. */
#define MAX_LIST (4 * 1024 * 1024)

static int open_list(const char *directory, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/stubs", directory);
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

int stubs_note(const char *directory)
{
    int list = open_list(directory, O_WRONLY | O_CREAT | O_APPEND);
    resolve_list_made(list);
    return list;
}

void stubs_noted(int descriptor)
{
    resolve_list_made(-1);
    if (descriptor >= 0)
        close(descriptor);
}

/* What the step has put in the place of a directory on the way leads nowhere. */
static int open_parent(int upper, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    int fd = (int)syscall(SYS_openat2, upper, *path == '\0' ? "." : path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

static void remove_stub(int upper, char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    struct stat parent_status, status;
    auto_fd parent = open_parent(upper, *path == '/' ? path + 1 : path);
    if (parent < 0 || fstat(parent, &parent_status) < 0 || fstatat(parent, slash + 1, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    bool empty_file = S_ISREG(status.st_mode) && status.st_size == 0;
    if (!empty_file && !S_ISDIR(status.st_mode))
        return;
    if (unlinkat(parent, slash + 1, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) == 0)
        futimens(parent, (struct timespec[]){ parent_status.st_atim, parent_status.st_mtim });
}

int stubs_remove(const char *directory, bool parents)
{
    auto_fd list = open_list(directory, O_RDONLY);
    struct stat status;
    if (list < 0)
        return list == -ENOENT ? 0 : list;
    if (fstat(list, &status) < 0 || status.st_size > MAX_LIST)
        return -EFBIG;
    size_t size = (size_t)status.st_size;
    auto_free char *text = malloc(size + 1);
    if (text == NULL)
        return -ENOMEM;
    if (read(list, text, size) != (ssize_t)size)
        return -EIO;
    text[size] = '\0';
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/w/upper", directory);
    auto_fd upper = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (upper < 0)
        return -errno;
    /* From the last: what lies in a directory was made after it. */
    for (size_t end = size; end > 0;) {
        size_t start = end - 1;
        while (start > 0 && text[start - 1] != '\0')
            start--;
        if (parents || text[start] == 'p')
            remove_stub(upper, text + start + 1);
        end = start;
    }
    return 0;
}
