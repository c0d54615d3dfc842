/* Symbolic links, followed by hand. */
#include "follow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 255 /* as Go's EvalSymlinks */

struct walk {
    char rest[2 * PATH_MAX]; /* still to go */
    char *done;              /* PATH_MAX, without links; "" is the root */
    unsigned links;
};

static void go_up(char *done)
{
    char *slash = strrchr(done, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* `name` has been appended to `done` and is a link: its target comes in front of the rest. */
static int take_link(struct walk *walk, const char *rest)
{
    char target[PATH_MAX], joined[2 * PATH_MAX];
    ssize_t length = readlink(walk->done, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    if (++walk->links > MAX_LINKS)
        return -ELOOP;
    if (snprintf(joined, sizeof(joined), "%s/%s", target, rest) >= (int)sizeof(joined))
        return -ENAMETOOLONG;
    memcpy(walk->rest, joined, sizeof(joined));
    if (*target == '/')
        *walk->done = '\0';
    else
        go_up(walk->done);
    return 0;
}

static int take_name(struct walk *walk, const char *name, const char *rest)
{
    if (*name == '\0' || strcmp(name, ".") == 0)
        return 1;
    if (strcmp(name, "..") == 0) {
        go_up(walk->done);
        return 1;
    }
    size_t used = strlen(walk->done);
    if (used + strlen(name) + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    sprintf(walk->done + used, "/%s", name);
    struct stat status;
    if (lstat(walk->done, &status) == 0 && S_ISLNK(status.st_mode))
        return take_link(walk, rest);
    return 1;
}

int follow_path(const char *path, char resolved[PATH_MAX])
{
    static struct walk walk;
    walk = (struct walk){ .done = resolved };
    *resolved = '\0';
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    strcpy(walk.rest, path);
    while (*walk.rest != '\0') {
        char name[PATH_MAX];
        size_t length = strcspn(walk.rest, "/");
        if (length >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, walk.rest, length);
        name[length] = '\0';
        const char *rest = walk.rest + length + (walk.rest[length] == '/');
        int result = take_name(&walk, name, rest);
        if (result < 0)
            return result;
        if (result > 0) /* a link has put its own rest there */
            memmove(walk.rest, rest, strlen(rest) + 1);
    }
    if (*resolved == '\0')
        strcpy(resolved, "/");
    return 0;
}

int follow_make_directory(const char *path, uid_t uid, gid_t gid)
{
    char resolved[PATH_MAX];
    int result = follow_path(path, resolved);
    for (char *end = resolved; result == 0 && end != NULL;) {
        end = strchr(end + 1, '/');
        if (end != NULL)
            *end = '\0';
        if (mkdir(resolved, 0755) == 0) {
            if (chmod(resolved, 0755) < 0 || lchown(resolved, uid, gid) < 0)
                result = -errno;
        } else if (errno != EEXIST) {
            result = -errno;
        }
        if (end != NULL)
            *end = '/';
    }
    struct stat status;
    if (result == 0 && lstat(resolved, &status) == 0 && !S_ISDIR(status.st_mode))
        result = -ENOTDIR;
    return result;
}
