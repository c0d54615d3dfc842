/* What a path of a client means, as `docker cp` gives it. */
#include "archives/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/go-error.h"
#include "paths/container-path.h"

static int fail_at(int code, const char *what, const char *path, char *message, size_t message_size)
{
    snprintf(message, message_size, "%s %s: %s", what, path, go_error(code));
    return -code;
}

int place_find(int root, const char *path, struct place *place, char *message, size_t message_size)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];
    place->root = root;
    place->directory = -1;
    if (*path != '/' || strlen(path) >= PATH_MAX || strlen(slash + 1) > NAME_MAX)
        return fail_at(ENAMETOOLONG, "lstat", path, message, message_size);
    snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
    snprintf(place->name, sizeof(place->name), "%s", slash[1] == '\0' ? "." : slash + 1);
    int result = container_path_evaluate(root, directory, place->path, sizeof(place->path));
    if (result == 0)
        result = place->directory = container_path_open(root, place->path, O_RDONLY | O_DIRECTORY);
    if (result >= 0)
        result = fstatat(place->directory, place->name, &place->status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    return result < 0 ? fail_at(-result, "lstat", path, message, message_size) : 0;
}

int place_describe(const struct place *place, const char *path, int output, char *message, size_t message_size)
{
    char target[PATH_MAX];
    struct stat end = { 0 };
    int result = container_path_evaluate(place->root, path, target, sizeof(target));
    if (result < 0)
        return fail_at(-result, "evaluate", path, message, message_size);
    auto_fd fd = container_path_open(place->root, target, O_PATH);
    if (fd >= 0)
        fstat(fd, &end);
    dprintf(output, "%u %lld %lld %ld %u%c%s/%s%c%s%c%s", place->status.st_mode, (long long)place->status.st_size,
            (long long)place->status.st_mtim.tv_sec, place->status.st_mtim.tv_nsec, end.st_mode, 0,
            strcmp(place->path, "/") == 0 ? "" : place->path, place->name, 0,
            S_ISLNK(place->status.st_mode) ? target : "", 0, target);
    return 0;
}
