/* Bind mounts onto paths that no symbolic link can lead astray. */
#include "paths/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "paths/resolve.h"

struct fd_path path_of(int fd)
{
    struct fd_path path;
    snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
    return path;
}

/* A directory goes on a directory only, anything else on anything but one. */
static bool same_kind(const struct stat *source, int at)
{
    struct stat status;
    return fstat(at, &status) < 0 || S_ISDIR(status.st_mode) == S_ISDIR(source->st_mode);
}

int bind_onto(const char *source, int root, const char *target, const struct mount_options *options,
              struct failure *failure)
{
    struct stat status;
    /* Looked up once: each question about a share goes to the host. */
    auto_fd from = open(source, O_PATH | O_CLOEXEC);
    if (from < 0 || fstat(from, &status) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "bind source %s", source);
    auto_fd at = resolve_open(root, target, S_ISDIR(status.st_mode) ? RESOLVE_MAKE_DIRECTORY : RESOLVE_MAKE_FILE);
    if (at == -EISDIR || at == -ENOTDIR || (at >= 0 && !same_kind(&status, at)))
        return fail_errno(failure, ENOTDIR, PHASE_MOUNT, "error mounting \"%s\" to rootfs at \"%s\"", source, target);
    if (at < 0)
        return fail_errno(failure, at, PHASE_MOUNT, "make mount point %s", target);
    if (mount(path_of(from).text, path_of(at).text, NULL, MS_BIND | (options->flags & MS_REC), NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "bind %s to %s", source, target);
    unsigned long flags = options->flags & ~(unsigned long)(MS_BIND | MS_REC);
    if (flags == 0 && options->propagation == 0)
        return 0;
    /* The descriptor is what the mount covers: what was mounted must be looked up anew. */
    auto_fd mounted = resolve_open(root, target, RESOLVE_EXISTING);
    if (mounted < 0)
        return fail_errno(failure, mounted, PHASE_MOUNT, "find %s", target);
    if (flags != 0 && mount(NULL, path_of(mounted).text, NULL, MS_BIND | MS_REMOUNT | flags, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "set the options of %s", target);
    if (options->propagation != 0 && mount(NULL, path_of(mounted).text, NULL, options->propagation, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "set the propagation of %s", target);
    return 0;
}
