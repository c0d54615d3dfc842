/* The layer between an image's and a container's own, with what Docker puts there. */
#include "rootfs/init-layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

/* What the image has at a path, by its topmost layer that has anything. False: nothing. */
static bool image_has(int layer_count, const char *path, struct stat *status)
{
    for (int i = 0; i < layer_count; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%d/%s", i, path);
        if (lstat(name, status) == 0)
            return !(S_ISCHR(status->st_mode) && status->st_rdev == 0); /* a whiteout */
    }
    return false;
}

/* A directory that hides nothing: as the image has it, if the image has it. False: it has something else there. */
static bool make_directory(int layer, int layer_count, const char *path, struct failure *failure)
{
    struct stat status;
    bool known = image_has(layer_count, path, &status);
    if (known && !S_ISDIR(status.st_mode))
        return false;
    if (mkdirat(layer, path, 0755) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "make /%s", path) == 0;
    if (known && (fchownat(layer, path, status.st_uid, status.st_gid, 0) < 0 ||
                  fchmodat(layer, path, status.st_mode & 07777, 0) < 0))
        fail_errno(failure, errno, PHASE_MOUNT, "give /%s its owner", path);
    return true;
}

static void make_file(int layer, const char *path, mode_t mode, struct failure *failure)
{
    auto_fd fd = openat(layer, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        fail_errno(failure, errno, PHASE_MOUNT, "make /%s", path);
}

/* Files right below /etc, by their names there. */
static void make_given_files(int layer, int layer_count, const json_t *files, struct failure *failure)
{
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *path = json_string_value(json_object_get(json_array_get(files, i), "path"));
        struct stat status;
        if (path == NULL || strncmp(path, "/etc/", 5) != 0 || path[5] == '\0' || strchr(path + 5, '/') != NULL ||
            path[5] == '.')
            continue;
        /* A link is followed to where it leads; hiding it would change the image's mind. */
        if (!image_has(layer_count, path + 1, &status))
            make_file(layer, path + 1, 0755, failure);
    }
}

int init_layer_make(int layer_count, const json_t *spec, struct failure *failure)
{
    static const char *const mount_points[] = { "proc", "sys", "dev" };
    struct stat status;
    failure->code = 0;
    if (mkdir(INIT_LAYER, 0755) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "make the container's first layer");
    auto_fd layer = open(INIT_LAYER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layer < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "open the container's first layer");
    for (size_t i = 0; i < sizeof(mount_points) / sizeof(mount_points[0]); i++)
        make_directory(layer, layer_count, mount_points[i], failure);
    if (faccessat(layer, "dev", F_OK, 0) == 0) {
        make_directory(layer, layer_count, "dev/pts", failure);
        make_directory(layer, layer_count, "dev/shm", failure);
        if (!image_has(layer_count, "dev/console", &status))
            make_file(layer, "dev/console", 0755, failure);
    }
    if (!json_is_true(json_object_get(spec, "step")))
        make_file(layer, ".dockerenv", 0755, failure);
    if (make_directory(layer, layer_count, "etc", failure)) {
        make_given_files(layer, layer_count, json_object_get(spec, "files"), failure);
        if (!image_has(layer_count, "etc/mtab", &status) && symlinkat("/proc/mounts", layer, "etc/mtab") < 0)
            fail_errno(failure, errno, PHASE_MOUNT, "make /etc/mtab");
    }
    return -failure->code;
}
