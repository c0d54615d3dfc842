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
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/kernel-log.h"
#include "machine/disk.h"
#include "rootfs/init-layer.h"

/* Attempts, and no time: on a host with much else to do each takes many times as long. */
#define MOUNT_ATTEMPTS 4000
#define READ_ATTEMPTS 100

/* A disk that has just appeared may answer ENXIO for some milliseconds, and what is read of it before the kernel knows its size
 * are zeros. */
static int mount_disk(const struct disk_spec *disk, const char *target, const char *type, unsigned long flags,
                      const char *data, struct failure *failure)
{
    char source[64];
    for (int attempt = 0, unread = 0;; attempt++) {
        auto_fd fd = disk_open(disk, source, sizeof(source));
        if (fd == -ENODEV)
            return fail(failure, ENODEV, PHASE_DISK, "the disk of LUN %d is gone", disk->lun);
        if (fd >= 0 && mount(source, target, type, flags, data) == 0)
            return 0;
        int error = fd < 0 ? -fd : errno;
        bool appears = error == ENXIO || error == ENOENT;
        if ((error == EINVAL || error == EIO) && unread++ < READ_ATTEMPTS) {
            disk_read_anew(fd);
            appears = true;
        }
        if (!appears || attempt == MOUNT_ATTEMPTS) {
            char said[360];
            kernel_log_about(source + strlen("/dev/"), said, sizeof(said));
            return fail_errno(failure, error, PHASE_MOUNT, "mount %s (LUN %d) as %s%s", source, disk->lun, type, said);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
    }
}

static int make_directory(const char *path, struct failure *failure)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make %s", path);
    return 0;
}

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

int rootfs_mount(const char *directory, const struct disk_spec *layers, int layer_count,
                 const struct disk_spec *writable, const json_t *files, struct failure *failure)
{
    int result = make_directory(directory, failure);
    if (result == 0 && chdir(directory) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "chdir %s", directory);
    for (int i = 0; result == 0 && i < layer_count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        result = make_directory(name, failure);
        if (result == 0)
            result = mount_disk(&layers[i], name, "squashfs", MS_RDONLY, NULL, failure);
    }
    if (result == 0 && (result = make_directory("w", failure)) == 0)
        result = mount_disk(writable, "w", "ext4", 0, "discard,noinit_itable", failure);
    if (result == 0)
        result = make_directory("w/upper", failure);
    if (result == 0)
        result = make_directory("w/work", failure);
    if (result == 0)
        result = make_directory("root", failure);
    if (result == 0)
        result = init_layer_make(layer_count, files, failure);
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
        int64_t mode;
        int result;
        if ((result = field_base64(file, "contentBase64", &bytes, &length, failure)) < 0 ||
            (result = field_integer(file, "mode", &mode, failure)) < 0 ||
            (result = rootfs_replace_file(directory, i, bytes, length, failure)) < 0)
            return result;
        char path[PATH_MAX];
        file_path(path, directory, i);
        if (chmod(path, (mode_t)mode & 07777) < 0)
            return fail_errno(failure, errno, PHASE_IO, "chmod file %zu of the container", i);
    }
    return 0;
}

static int unmount(const char *path, int flags)
{
    if (umount2(path, flags | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
        return -errno;
    rmdir(path);
    return 0;
}

/* What is left is in the tmpfs of /run: small, and our own. */
static void remove_tree(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    auto_directory directory = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type == DT_DIR && depth > 0)
            remove_tree(fd, entry->d_name, depth - 1);
        else
            unlinkat(fd, entry->d_name, 0);
    }
    unlinkat(parent, name, AT_REMOVEDIR);
}

int rootfs_unmount(const char *directory, int layer_count, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/root", directory);
    int result = unmount(path, flags);
    snprintf(path, sizeof(path), "%s/w", directory);
    int other = unmount(path, flags);
    result = result < 0 ? result : other;
    snprintf(path, sizeof(path), "%s/shm", directory);
    other = unmount(path, flags);
    result = result < 0 ? result : other;
    for (int i = 0; i < layer_count; i++) {
        snprintf(path, sizeof(path), "%s/%d", directory, i);
        other = unmount(path, flags);
        result = result < 0 ? result : other;
    }
    if (result == 0)
        remove_tree(AT_FDCWD, directory, 4);
    return result;
}
