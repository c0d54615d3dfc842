#include "fill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define COPY_BYTES (1 << 20)
/* Deeper than any path can be. */
#define MAX_DEPTH 2048
#define ATTRIBUTE_BYTES 65536

/* A file with several names: where its first copy lies. */
struct linked {
    struct linked *next;
    dev_t device;
    ino_t inode;
    int directory; /* a descriptor of its own */
    char name[];
};

static struct linked *links;
static char buffer[COPY_BYTES];

static int complain(const char *what, const char *name)
{
    int error = errno;
    dprintf(STDERR_FILENO, "fill the volume: %s %s: %s\n", what, name, strerror(error));
    return -error;
}

static bool is_empty(int directory)
{
    DIR *entries = fdopendir(dup(directory));
    if (entries == NULL)
        return false;
    const struct dirent *entry;
    bool empty = true;
    /* what a file system of its own has is not the user's */
    while (empty && (entry = readdir(entries)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, "lost+found") == 0;
    closedir(entries);
    return empty;
}

/* A file system that has none of these is no failure. */
static void copy_attributes(int from, int to)
{
    static char names[ATTRIBUTE_BYTES], value[ATTRIBUTE_BYTES];
    ssize_t length = flistxattr(from, names, sizeof(names));
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
        ssize_t size = fgetxattr(from, names + at, value, sizeof(value));
        if (size >= 0)
            (void)fsetxattr(to, names + at, value, (size_t)size, 0);
    }
}

/* Owner before mode: a change of the owner takes bits of it away. */
static int copy_metadata(int from, int to, const struct stat *info, const char *name)
{
    const struct timespec times[] = { info->st_atim, info->st_mtim };
    if (fchown(to, info->st_uid, info->st_gid) < 0)
        return complain("owner of", name);
    copy_attributes(from, to);
    if (fchmod(to, info->st_mode & 07777) < 0)
        return complain("mode of", name);
    return futimens(to, times) < 0 ? complain("time of", name) : 0;
}

static int copy_bytes(int from, int to, const char *name)
{
    for (;;) {
        ssize_t got = read(from, buffer, sizeof(buffer));
        if (got == 0)
            return 0;
        if (got < 0)
            return complain("read", name);
        for (ssize_t done = 0, now; done < got; done += now) {
            now = write(to, buffer + done, (size_t)(got - done));
            if (now < 0)
                return complain("write", name);
        }
    }
}

static int copy_file(int source, int target, const char *name, const struct stat *info)
{
    int from = openat(source, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return complain("open", name);
    int to = openat(target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = to < 0 ? complain("make", name) : copy_bytes(from, to, name);
    if (result == 0)
        result = copy_metadata(from, to, info, name);
    close(from);
    if (to >= 0)
        close(to);
    return result;
}

static int copy_link(int source, int target, const char *name)
{
    ssize_t length = readlinkat(source, name, buffer, sizeof(buffer) - 1);
    if (length < 0)
        return complain("read", name);
    buffer[length] = '\0';
    return symlinkat(buffer, target, name) < 0 ? complain("make", name) : 0;
}

static int copy_directory(int source, int target, const struct stat *info, const char *name, int depth);

static int copy_subdirectory(int source, int target, const char *name, const struct stat *info, int depth)
{
    if (mkdirat(target, name, 0700) < 0)
        return complain("make", name);
    int from = openat(source, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int to = from < 0 ? -1 : openat(target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = to < 0 ? complain("open", name) : copy_directory(from, to, info, name, depth);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return result;
}

/* True: it is another name of what was copied. */
static bool is_linked(int target, const char *name, const struct stat *info)
{
    for (const struct linked *each = links; each != NULL; each = each->next)
        if (each->device == info->st_dev && each->inode == info->st_ino)
            return linkat(each->directory, each->name, target, name, 0) == 0;
    return false;
}

static void remember(int target, const char *name, const struct stat *info)
{
    size_t length = strlen(name) + 1;
    struct linked *link = malloc(sizeof(*link) + length);
    if (link == NULL)
        return; /* its other names become files of their own */
    link->device = info->st_dev;
    link->inode = info->st_ino;
    link->directory = dup(target);
    memcpy(link->name, name, length);
    link->next = links;
    links = link;
}

static int copy_entry(int source, int target, const char *name, int depth)
{
    struct stat info;
    int result;
    if (fstatat(source, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return complain("look at", name);
    bool shared = !S_ISDIR(info.st_mode) && info.st_nlink > 1;
    if (shared && is_linked(target, name, &info))
        return 0;
    if (S_ISDIR(info.st_mode))
        return copy_subdirectory(source, target, name, &info, depth);
    if (S_ISREG(info.st_mode)) {
        result = copy_file(source, target, name, &info);
    } else if (S_ISSOCK(info.st_mode)) {
        return 0; /* nobody listens there */
    } else {
        const struct timespec times[] = { info.st_atim, info.st_mtim };
        result = S_ISLNK(info.st_mode)                                   ? copy_link(source, target, name)
                 : mknodat(target, name, info.st_mode, info.st_rdev) < 0 ? complain("make", name)
                                                                         : 0;
        if (result == 0 && fchownat(target, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
            result = complain("owner of", name);
        if (result == 0)
            (void)utimensat(target, name, times, AT_SYMLINK_NOFOLLOW);
    }
    if (result == 0 && shared)
        remember(target, name, &info);
    return result;
}

static int copy_directory(int source, int target, const struct stat *info, const char *name, int depth)
{
    if (depth > MAX_DEPTH) {
        errno = ELOOP;
        return complain("go into", name);
    }
    DIR *entries = fdopendir(dup(source));
    if (entries == NULL)
        return complain("open", name);
    const struct dirent *entry;
    int result = 0;
    while (result == 0 && (entry = readdir(entries)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = copy_entry(source, target, entry->d_name, depth + 1);
    closedir(entries);
    return result == 0 ? copy_metadata(source, target, info, name) : result;
}

int fill(const char *source, const char *target)
{
    struct stat info;
    int from = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : (complain("open", source), 1);
    int to = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0 || fstat(from, &info) < 0)
        return complain("open", target), 1;
    if (!is_empty(to))
        return 0;
    return copy_directory(from, to, &info, source, 0) < 0;
}
