/* paths: names in a container's file system, which its image or its processes may have made to lead anywhere.
 *
 * Paths inside a container's root, resolved so that no symbolic link of the image leads out of it. */
#include "paths/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAX_LINKS 40

static int open_inside(int root, const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | flags,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root, *path == '\0' ? "." : path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* Returns 1 if it was not there. */
static int make_leaf(int parent, const char *name, enum resolve_make make)
{
    if (make == RESOLVE_MAKE_DIRECTORY)
        return mkdirat(parent, name, 0755) == 0 ? 1 : errno != EEXIST ? -errno : 0;
    auto_fd fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd >= 0 ? 1 : errno != EEXIST ? -errno : 0;
}

static int list_of_made = -1;

void resolve_list_made(int descriptor)
{
    list_of_made = descriptor;
}

static void note_made(int root, int parent, char kind, const char *path)
{
    struct stat above, below;
    if (list_of_made < 0 || fstat(root, &above) < 0 || fstat(parent, &below) < 0 || above.st_dev != below.st_dev)
        return;
    dprintf(list_of_made, "%c%s%c", kind, path, '\0');
}

/* Takes the first component off `rest`. */
static void next_component(const char **rest, char name[NAME_MAX + 1])
{
    const char *at = *rest + strspn(*rest, "/");
    size_t length = strcspn(at, "/");
    snprintf(name, NAME_MAX + 1, "%.*s", length > NAME_MAX ? NAME_MAX : (int)length, at);
    at += length;
    *rest = at + strspn(at, "/");
}

/* Component by component: a dangling link is followed inside the root, and what it names is made. */
static int make_path(int root, const char *path, enum resolve_make make)
{
    char rest_buffer[PATH_MAX], done[PATH_MAX] = "", name[NAME_MAX + 1];
    if (snprintf(rest_buffer, sizeof(rest_buffer), "%s", path) >= (int)sizeof(rest_buffer))
        return -ENAMETOOLONG;
    const char *rest = rest_buffer;
    for (int links = 0;;) {
        next_component(&rest, name);
        bool last = *rest == '\0';
        if (*name == '\0' || strcmp(name, ".") == 0) {
            if (last)
                break;
            continue;
        }
        size_t used = strlen(done);
        if (strcmp(name, "..") == 0) {
            char *slash = strrchr(done, '/');
            *(slash != NULL ? slash : done) = '\0';
            if (last)
                break;
            continue;
        }
        auto_fd parent = open_inside(root, done, O_DIRECTORY);
        if (parent < 0)
            return parent;
        char target[PATH_MAX];
        ssize_t length = readlinkat(parent, name, target, sizeof(target) - 1);
        if (length > 0) {
            if (++links > MAX_LINKS)
                return -ELOOP;
            target[length] = '\0';
            char joined[PATH_MAX];
            if (snprintf(joined, sizeof(joined), "%s/%s", target, rest) >= (int)sizeof(joined))
                return -ENAMETOOLONG;
            memcpy(rest_buffer, joined, sizeof(joined));
            rest = rest_buffer;
            if (*target == '/')
                *done = '\0';
            continue;
        }
        int result = make_leaf(parent, name, last ? make : RESOLVE_MAKE_DIRECTORY);
        if (result < 0)
            return result;
        if (snprintf(done + used, sizeof(done) - used, "/%s", name) >= (int)(sizeof(done) - used))
            return -ENAMETOOLONG;
        if (result == 1)
            note_made(root, parent, last ? 'p' : 'd', done);
        if (last)
            break;
    }
    return open_inside(root, done, 0);
}

int resolve_open(int root, const char *path, enum resolve_make make)
{
    int fd = open_inside(root, path, 0);
    if (fd != -ENOENT || make == RESOLVE_EXISTING)
        return fd;
    return make_path(root, path, make);
}

int resolve_parent(int root, const char *path, const char **leaf)
{
    const char *slash = strrchr(path, '/');
    *leaf = slash != NULL ? slash + 1 : path;
    char directory[PATH_MAX];
    int length = slash != NULL ? (int)(slash - path) : 0;
    if (**leaf == '\0' || strcmp(*leaf, ".") == 0 || strcmp(*leaf, "..") == 0)
        return -EINVAL;
    if (snprintf(directory, sizeof(directory), "%.*s", length, path) >= (int)sizeof(directory))
        return -ENAMETOOLONG;
    return resolve_open(root, directory, RESOLVE_MAKE_DIRECTORY);
}
