/* rootfs: a container's file system, from its disks to "/".
 *
 * A container's file system: layers, overlay, files. What is mounted in the container's own namespaces is in
 * rootfs-enter.c. */
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "machine/disk.h"
#include "rootfs/init-layer.h"
#include "rootfs/mount-disk.h"

/* Short names, relative to the directory: the option string of 120 layers must fit a page. */
static int mount_overlay(int layer_count, struct failure *failure)
{
    char options[4096];
    int used = snprintf(options, sizeof(options), "lowerdir=" INIT_LAYER);
    for (int i = 0; i < layer_count; i++)
        used += snprintf(options + used, sizeof(options) - (size_t)used, ":%d", i);
    snprintf(options + used, sizeof(options) - (size_t)used, ",upperdir=w/upper,workdir=w/work");
    if (mount("overlay", "root", "overlay", 0, options) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "mount overlay of %d layers", layer_count);
    return 0;
}

/* A disk that several containers have is mounted for each; each sees a directory of it. */
static int mount_writable(const struct disk_spec *writable, const json_t *spec, struct failure *failure)
{
    const char *name = json_string_value(json_object_get(json_object_get(spec, "rootfs"), "directory"));
    int result = mount_point_make("w", failure);
    if (result < 0)
        return result;
    if (name == NULL)
        return mount_disk(writable, "w", "ext4", 0, "discard,noinit_itable", failure);
    char path[PATH_MAX];
    if (*name == '\0' || *name == '.' || strchr(name, '/') != NULL || strlen(name) > NAME_MAX)
        return fail(failure, EINVAL, PHASE_REQUEST, "bad name of a directory");
    snprintf(path, sizeof(path), "disk/%s", name);
    result = mount_point_make("disk", failure);
    if (result == 0)
        result = mount_disk(writable, "disk", "ext4", 0, "discard,noinit_itable", failure);
    if (result == 0)
        result = mount_point_make(path, failure);
    if (result == 0 && mount(path, "w", NULL, MS_BIND, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "bind %s", path);
    return result;
}

int rootfs_mount(const char *directory, const struct disk_spec *layers, int layer_count,
                 const struct disk_spec *writable, const json_t *spec, struct failure *failure)
{
    int result = mount_point_make(directory, failure);
    if (result == 0 && chdir(directory) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "chdir %s", directory);
    for (int i = 0; result == 0 && i < layer_count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        result = mount_point_make(name, failure);
        if (result == 0)
            result = mount_disk(&layers[i], name, "squashfs", MS_RDONLY, NULL, failure);
    }
    if (result == 0)
        result = mount_writable(writable, spec, failure);
    if (result == 0)
        result = mount_point_make("w/upper", failure);
    if (result == 0)
        result = mount_point_make("w/work", failure);
    if (result == 0)
        result = mount_point_make("root", failure);
    if (result == 0)
        result = init_layer_make(layer_count, spec, failure);
    return result < 0 ? result : mount_overlay(layer_count, failure);
}

static void file_path(char path[PATH_MAX], const char *directory, size_t index)
{
    snprintf(path, PATH_MAX, "%s/f%zu", directory, index);
}

int rootfs_replace_file(const char *directory, size_t index, const void *bytes, size_t length, struct failure *failure)
{
    char path[PATH_MAX];
    file_path(path, directory, index);
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(failure, errno, PHASE_IO, "open file %zu of the container", index);
    for (size_t done = 0; done < length;) {
        ssize_t part = write(fd, (const char *)bytes + done, length - done);
        if (part < 0)
            return fail_errno(failure, errno, PHASE_IO, "write file %zu of the container", index);
        done += (size_t)part;
    }
    return 0;
}

int rootfs_write_files(const char *directory, const json_t *files, struct failure *failure)
{
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        auto_free uint8_t *bytes = NULL;
        size_t length;
        int64_t mode, uid = 0, gid = 0;
        int result;
        if ((result = field_base64(file, "contentBase64", &bytes, &length, failure)) < 0 ||
            (result = field_integer(file, "mode", &mode, failure)) < 0 ||
            (result = rootfs_replace_file(directory, i, bytes, length, failure)) < 0)
            return result;
        char path[PATH_MAX];
        file_path(path, directory, i);
        bool owned = json_object_get(file, "uid") != NULL;
        if (owned && ((result = field_integer(file, "uid", &uid, failure)) < 0 ||
                      (result = field_integer(file, "gid", &gid, failure)) < 0))
            return result;
        if ((owned && chown(path, (uid_t)uid, (gid_t)gid) < 0) || chmod(path, (mode_t)mode & 07777) < 0)
            return fail_errno(failure, errno, PHASE_IO, "chmod file %zu of the container", i);
    }
    return 0;
}

int rootfs_unmount(const char *directory, int layer_count, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/root", directory);
    int result = mount_point_remove(path, flags);
    snprintf(path, sizeof(path), "%s/w", directory);
    int other = mount_point_remove(path, flags);
    result = result < 0 ? result : other;
    snprintf(path, sizeof(path), "%s/disk", directory);
    other = mount_point_remove(path, flags);
    result = result < 0 ? result : other;
    snprintf(path, sizeof(path), "%s/shm", directory);
    other = mount_point_remove(path, flags);
    result = result < 0 ? result : other;
    for (int i = 0; i < layer_count; i++) {
        snprintf(path, sizeof(path), "%s/%d", directory, i);
        other = mount_point_remove(path, flags);
        result = result < 0 ? result : other;
    }
    if (result == 0)
        small_tree_remove(directory);
    return result;
}
