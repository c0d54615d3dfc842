/* docker diff: the writable layer is walked, and each entry looked up in the layers below. */
#include "file-changes.h"

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
#include <unistd.h>

#include "cleanup.h"
#include "init-layer.h"

#define LOWER "lower"
#define MAX_DEPTH 1024

struct walk {
    int lower; /* the layers below, merged */
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

static void record(const struct walk *walk, char letter, const char *path)
{
    fprintf(walk->output, "%c/%s%c", letter, path, '\0');
}

static bool is_whiteout(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
}

/* A directory that was only looked into, or whose entries changed, is no change of its own unless something of it is
 * different. */
static bool same_directory(const struct stat *a, const struct stat *b)
{
    return S_ISDIR(a->st_mode) && S_ISDIR(b->st_mode) && a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
           a->st_gid == b->st_gid && a->st_mtim.tv_sec == b->st_mtim.tv_sec;
}

static int walk_directory(const struct walk *walk, int parent, const char *name, const char *prefix, bool *told,
                          unsigned depth);

/* `told`: the directory it is in has a record already. */
static int walk_entry(const struct walk *walk, int directory, const char *name, const char *prefix, bool *told,
                      unsigned depth)
{
    char path[PATH_MAX];
    struct stat upper, lower;
    if (snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix == '\0' ? "" : "/", name) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    if (fstatat(directory, name, &upper, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno; /* the container runs: it has been removed meanwhile */
    bool existed = fstatat(walk->lower, path, &lower, AT_SYMLINK_NOFOLLOW) == 0;
    bool own_record = true;
    char letter = is_whiteout(&upper) ? 'D' : existed ? 'C' : 'A';
    if (letter == 'D' && !existed)
        return 0; /* made and removed again over an opaque directory */
    if (letter == 'C' && same_directory(&upper, &lower))
        own_record = false;
    if (letter != 'C' && !*told && *prefix != '\0') {
        record(walk, 'C', prefix);
        *told = true;
    }
    if (own_record)
        record(walk, letter, path);
    if (S_ISDIR(upper.st_mode))
        return walk_directory(walk, directory, name, path, &own_record, depth);
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int walk_directory(const struct walk *walk, int parent, const char *name, const char *prefix, bool *told,
                          unsigned depth)
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
    int result = 0;
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = walk_entry(walk, directory, entries[i]->d_name, prefix, told, depth + 1);
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
    struct walk walk = { lower, stream };
    bool told = false;
    int result = walk_directory(&walk, upper, ".", "", &told, 0);
    if (fflush(stream) != 0 && result == 0)
        result = -EIO;
    return result;
}
