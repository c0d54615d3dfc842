/* docker diff: the writable layer is walked, and each entry looked up in the layers below. */
#include "jobs/file-changes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "rootfs/init-layer.h"

#define LOWER "lower"
#define MAX_DEPTH 1024

struct walk {
    FILE *output;
};

/* All layers as one, read-only and unseen by others. */
static int open_lower(const char *directory, int layer_count)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || chdir(directory) < 0)
        return -errno;
    if (layer_count == 0) {
        int fd = open(INIT_LAYER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    char options[4096];
    int used = snprintf(options, sizeof(options), "lowerdir=" INIT_LAYER);
    for (int i = 0; i < layer_count; i++)
        used += snprintf(options + used, sizeof(options) - (size_t)used, ":%d", i);
    if ((mkdir(LOWER, 0700) < 0 && errno != EEXIST) || mount("overlay", LOWER, "overlay", MS_RDONLY, options) < 0)
        return -errno;
    int fd = open(LOWER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A directory on the way to what is looked at, and whether it has a record. */
struct frame {
    struct frame *up; /* NULL: this is the root, which never gets one */
    const char *path;
    bool told;
    int lower; /* the directory in the layers below, merged; -1 where they have something else, or nothing */
};

static void record(const struct walk *walk, char letter, const char *path)
{
    fprintf(walk->output, "%c/%s%c", letter, path, '\0');
}

/* Whatever changes in a directory changes it and all above it. */
static void tell(const struct walk *walk, struct frame *frame)
{
    if (frame->told || frame->up == NULL)
        return;
    tell(walk, frame->up);
    record(walk, 'C', frame->path);
    frame->told = true;
}

static bool is_whiteout(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
}

/* As dockerd compares: of a directory neither size nor time count, and layers keep whole seconds. */
static bool is_different(const struct stat *a, const struct stat *b)
{
    if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid || a->st_rdev != b->st_rdev)
        return true;
    if (S_ISDIR(a->st_mode))
        return false;
    bool same_time = a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
                     (a->st_mtim.tv_nsec == b->st_mtim.tv_nsec || a->st_mtim.tv_nsec == 0 || b->st_mtim.tv_nsec == 0);
    return !same_time || a->st_size != b->st_size;
}

static bool is_opaque(int directory)
{
    char value[2];
    return fgetxattr(directory, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static int no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_directory(const struct walk *walk, int parent, const char *name, struct frame *frame, unsigned depth);

static int join_path(char path[PATH_MAX], const char *prefix, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s%s%s", prefix, *prefix == '\0' ? "" : "/", name);
    return length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int walk_entry(const struct walk *walk, int directory, const char *name, struct frame *frame, unsigned depth)
{
    char path[PATH_MAX];
    struct stat upper, lower;
    if (join_path(path, frame->path, name) < 0)
        return -ENAMETOOLONG;
    if (fstatat(directory, name, &upper, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno; /* the container runs: it has been removed meanwhile */
    bool existed = frame->lower >= 0 && fstatat(frame->lower, name, &lower, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_whiteout(&upper) && !existed)
        return 0; /* made and removed again over an opaque directory */
    char letter = is_whiteout(&upper) ? 'D' : !existed ? 'A' : is_different(&upper, &lower) ? 'C' : '\0';
    auto_fd below = existed && S_ISDIR(lower.st_mode) && S_ISDIR(upper.st_mode)
                        ? openat(frame->lower, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
                        : -1;
    struct frame own = { frame, path, letter != '\0', below };
    if (letter != '\0') {
        tell(walk, frame);
        record(walk, letter, path);
    }
    return S_ISDIR(upper.st_mode) ? walk_directory(walk, directory, name, &own, depth) : 0;
}

/* What an opaque directory hides is gone unless it was made again. */
static int tell_hidden(const struct walk *walk, int directory, struct frame *frame)
{
    struct dirent **entries;
    if (frame->lower < 0)
        return 0;
    int count = scandirat(frame->lower, ".", &entries, no_dots, by_name);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat status;
        if (fstatat(directory, entries[i]->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
            join_path(path, frame->path, entries[i]->d_name) == 0) {
            tell(walk, frame);
            record(walk, 'D', path);
        }
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static int walk_directory(const struct walk *walk, int parent, const char *name, struct frame *frame, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return -ELOOP;
    auto_fd directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    struct dirent **entries;
    int count = scandirat(directory, ".", &entries, no_dots, by_name);
    if (count < 0)
        return -errno;
    int result = is_opaque(directory) ? tell_hidden(walk, directory, frame) : 0;
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = walk_entry(walk, directory, entries[i]->d_name, frame, depth + 1);
        free(entries[i]);
    }
    free(entries);
    return result;
}

int file_changes(const char *directory, int layer_count, int output)
{
    auto_fd lower = open_lower(directory, layer_count);
    if (lower < 0)
        return lower;
    auto_fd upper = open("w/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (upper < 0)
        return -errno;
    FILE *stream = fdopen(output, "w");
    if (stream == NULL)
        return -errno;
    struct walk walk = { stream };
    struct frame root = { NULL, "", true, lower };
    int result = walk_directory(&walk, upper, ".", &root, 0);
    if (fflush(stream) != 0 && result == 0)
        result = -EIO;
    return result;
}
