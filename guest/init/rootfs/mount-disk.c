/* Disks and the directories that they are mounted on. */
#include "rootfs/mount-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/kernel-log.h"
#include "machine/disk.h"

/* Attempts, and no time: on a host with much else to do each takes many times as long. */
#define MOUNT_ATTEMPTS 4000
#define READ_ATTEMPTS 100

/* A disk that has just appeared may answer ENXIO for some milliseconds, and what is read of it before the kernel knows its size
 * are zeros. */
int mount_disk(const struct disk_spec *disk, const char *target, const char *type, unsigned long flags,
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

int mount_point_make(const char *path, struct failure *failure)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make %s", path);
    return 0;
}

int mount_point_remove(const char *path, int flags)
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

void small_tree_remove(const char *directory)
{
    remove_tree(AT_FDCWD, directory, 4);
}
