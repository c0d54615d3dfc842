/* File systems beside a container's root, each in a directory `t<number>` of the container's: layers 0, 1 …, an empty one `e`, the disk
 * `d`, and `root`, which is what containers see. */
#include "rootfs/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "paths/resolve.h"
#include "rootfs/mount-disk.h"
#include "shares/shares.h"

#define MAX_TREES 256
#define MAX_LAYERS 500
#define MAX_OPEN 16

/* ---- what was asked for ---- */

static int read_tree(const json_t *object, struct tree *tree, struct failure *failure)
{
    json_t *layers;
    int result = field_array(object, "layers", &layers, failure);
    if (result < 0)
        return result;
    size_t count = json_array_size(layers);
    if (count > MAX_LAYERS)
        return fail(failure, E2BIG, PHASE_REQUEST, "too many layers");
    tree->layers = calloc(count + 1, sizeof(*tree->layers));
    if (tree->layers == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for layers");
    tree->layer_count = (int)count;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = disk_spec_read(json_array_get(layers, i), &tree->layers[i], failure);
    const json_t *disk = json_object_get(object, "disk");
    tree->has_disk = disk != NULL;
    return result == 0 && tree->has_disk ? disk_spec_read(disk, &tree->disk, failure) : result;
}

int trees_read(const json_t *spec, struct trees *trees, struct failure *failure)
{
    *trees = (struct trees){ 0 };
    const json_t *list = json_object_get(spec, "trees");
    size_t count = json_array_size(list);
    if (count == 0)
        return 0;
    if (count > MAX_TREES)
        return fail(failure, E2BIG, PHASE_REQUEST, "too many trees");
    trees->list = calloc(count, sizeof(*trees->list));
    if (trees->list == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for trees");
    trees->count = (int)count;
    int result = 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = read_tree(json_array_get(list, i), &trees->list[i], failure);
    return result;
}

void trees_free(struct trees *trees)
{
    for (int i = 0; i < trees->count; i++)
        free(trees->list[i].layers);
    free(trees->list);
    *trees = (struct trees){ 0 };
}

/* ---- mounting: all paths are relative to the tree's directory ---- */

static int mount_layers(const struct tree *tree, struct failure *failure)
{
    int result = 0;
    for (int i = 0; result == 0 && i < tree->layer_count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        result = mount_point_make(name, failure);
        if (result == 0)
            result = mount_disk(&tree->layers[i], name, "squashfs", MS_RDONLY, NULL, failure);
    }
    return result == 0 ? mount_point_make("e", failure) : result;
}

/* The empty directory is the lowest, so that the root is the topmost layer's. */
static int mount_overlay(const struct tree *tree, const char *upper, unsigned long flags, struct failure *failure)
{
    char options[4096] = "lowerdir=";
    size_t used = strlen(options);
    for (int i = 0; i < tree->layer_count; i++)
        used += (size_t)snprintf(options + used, sizeof(options) - used, "%d:", i);
    snprintf(options + used, sizeof(options) - used, "e%s", upper);
    int result = mount_point_make("root", failure);
    if (result == 0 && mount("overlay", "root", "overlay", flags, options) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "mount overlay of %d layers", tree->layer_count);
    return result;
}

/* The directory that takes the changes covers the topmost layer's root: it is to look like that. */
static int make_upper(const struct tree *tree, int number, char *options, size_t size, struct failure *failure)
{
    static const char *const parts[] = { "", "/upper", "/work" };
    char path[64];
    struct stat status;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        snprintf(path, sizeof(path), "../w/t%d%s", number, parts[i]);
        int result = mount_point_make(path, failure);
        if (result < 0)
            return result;
    }
    snprintf(path, sizeof(path), "../w/t%d/upper", number);
    const struct timespec unchanged = { .tv_nsec = UTIME_OMIT };
    if (tree->layer_count > 0 && stat("0", &status) == 0 &&
        (chown(path, status.st_uid, status.st_gid) < 0 || chmod(path, status.st_mode & 07777) < 0 ||
         utimensat(AT_FDCWD, path, (struct timespec[]){ unchanged, status.st_mtim }, 0) < 0))
        return fail_errno(failure, errno, PHASE_MOUNT, "give %s its owner", path);
    snprintf(options, size, ",upperdir=../w/t%d/upper,workdir=../w/t%d/work", number, number);
    return 0;
}

static int mount_changeable(const struct tree *tree, int number, struct failure *failure)
{
    char upper[96];
    int result = mount_layers(tree, failure);
    if (result == 0)
        result = make_upper(tree, number, upper, sizeof(upper), failure);
    return result < 0 ? result : mount_overlay(tree, upper, 0, failure);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status;
    (void)type;
    (void)position;
    return remove(path);
}

/* Complete, or not there: who fills it may be killed at any moment. */
static int fill_disk(const struct tree *tree, struct failure *failure)
{
    nftw("d/new", remove_entry, MAX_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    int result = mount_point_make("d/new", failure);
    if (result == 0 && tree->layer_count > 0) {
        if ((result = mount_layers(tree, failure)) < 0 || (result = mount_overlay(tree, "", MS_RDONLY, failure)) < 0)
            return result;
        auto_fd from = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char to[PATH_MAX];
        if (from < 0 || getcwd(to, sizeof(to) - sizeof("/d/new")) == NULL)
            return fail_errno(failure, errno, PHASE_MOUNT, "open what a disk is filled with");
        strcat(to, "/d/new");
        result = shares_populate(from, "/", to, failure);
        if (result == 0 && umount2("root", UMOUNT_NOFOLLOW) < 0 && umount2("root", MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return fail_errno(failure, errno, PHASE_MOUNT, "unmount what a disk was filled with");
    }
    auto_fd disk = result == 0 ? open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (result == 0 && (disk < 0 || syncfs(disk) < 0))
        return fail_errno(failure, errno, PHASE_IO, "sync the disk of LUN %d", tree->disk.lun);
    if (result == 0 && rename("d/new", "d/data") < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "name what a disk was filled with");
    return result;
}

static int mount_own_disk(const struct tree *tree, struct failure *failure)
{
    struct stat status;
    int result = mount_point_make("d", failure);
    if (result == 0)
        result = mount_disk(&tree->disk, "d", "ext4", 0, "discard,noinit_itable", failure);
    if (result == 0 && lstat("d/data", &status) < 0)
        result = fill_disk(tree, failure);
    if (result == 0)
        result = mount_point_make("root", failure);
    if (result == 0 && mount("d/data", "root", NULL, MS_BIND, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "bind the disk of LUN %d", tree->disk.lun);
    return result;
}

int trees_mount(const struct trees *trees, struct failure *failure)
{
    auto_fd directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = directory < 0 ? fail_errno(failure, errno, PHASE_MOUNT, "open the container's directory") : 0;
    for (int i = 0; result == 0 && i < trees->count; i++) {
        const struct tree *tree = &trees->list[i];
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        result = mount_point_make(name, failure);
        if (result == 0 && chdir(name) < 0)
            return fail_errno(failure, errno, PHASE_MOUNT, "chdir %s", name);
        if (result == 0)
            result = tree->has_disk ? mount_own_disk(tree, failure) : mount_changeable(tree, i, failure);
        if (result == 0 && fchdir(directory) < 0)
            return fail_errno(failure, errno, PHASE_MOUNT, "leave %s", name);
    }
    return result;
}

/* ---- afterwards ---- */

int trees_sync(const char *directory, const struct trees *trees)
{
    for (int i = 0; i < trees->count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/t%d/d", directory, i);
        auto_fd fd = trees->list[i].has_disk ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (fd >= 0 && syncfs(fd) < 0)
            return -errno;
    }
    return 0;
}

static int unmount_part(const char *directory, int number, const char *part, int flags)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/t%d/%s", directory, number, part);
    return mount_point_remove(path, flags);
}

int trees_unmount(const char *directory, const struct trees *trees, int flags)
{
    int result = 0;
    for (int i = 0; i < trees->count; i++) {
        int other = unmount_part(directory, i, "root", flags);
        result = result < 0 ? result : other;
        other = unmount_part(directory, i, "d", flags);
        result = result < 0 ? result : other;
        for (int layer = 0; layer < trees->list[i].layer_count; layer++) {
            char name[16];
            snprintf(name, sizeof(name), "%d", layer);
            other = unmount_part(directory, i, name, flags);
            result = result < 0 ? result : other;
        }
    }
    return result;
}

int tree_open(const char *directory, const char *number, const char *subpath)
{
    char path[PATH_MAX];
    if (*number == '\0' || strspn(number, "0123456789") != strlen(number))
        return -EINVAL;
    if (snprintf(path, sizeof(path), "%s/t%s/root", directory, number) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    auto_fd root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -errno : resolve_open(root, subpath, RESOLVE_EXISTING);
}

int tree_open_changes(const char *directory, int number)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/w/t%d/upper", directory, number);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}
