#include "control/saved-state.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void explain(char reason[MAX_REASON], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, MAX_REASON, format, arguments);
    va_end(arguments);
}

bool path_in_mount(int fd, char path[PATH_MAX])
{
    ssize_t length = readlink(fd_path(fd).text, path, PATH_MAX - 1);
    if (length < 0 || length == PATH_MAX - 1)
        return false;
    path[length] = '\0';
    return true;
}

bool host_path(const struct inode *inode, char path[HOST_PATH_MAX])
{
    char root[PATH_MAX], full[PATH_MAX];
    const struct share *share = inode->share;
    bool known = path_in_mount(share->root->fd, root) && path_in_mount(inode->fd, full);
    size_t length = known && strcmp(root, "/") != 0 ? strlen(root) : 0;
    bool below = known && !is_root(inode) && strncmp(full, root, length) == 0;
    const char *rest = below ? full + length : "";
    snprintf(path, HOST_PATH_MAX, "%s%s", strcmp(share->host_path, "/") == 0 && *rest != '\0' ? "" : share->host_path,
             rest);
    return known;
}

int open_below(const struct share *share, const char *path)
{
    if (path[0] == '\0')
        return fcntl(share->root->fd, F_DUPFD_CLOEXEC, 0);
    struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, share->root->fd, path, &how, sizeof(how));
}
