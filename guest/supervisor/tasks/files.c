#include "tasks/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archives/place.h"
#include "archives/tar-read.h"
#include "archives/tar-write.h"
#include "core/cleanup.h"
#include "core/go-error.h"
#include "paths/container-path.h"
#include "protocol/supervisor.h"

static const char *text_of(const json_t *params, const char *field)
{
    const char *text = json_string_value(json_object_get(params, field));
    return text == NULL ? "" : text;
}

static bool flag(const json_t *params, const char *field)
{
    return json_is_true(json_object_get(params, field));
}

static unsigned number(const json_t *params, const char *field)
{
    return (unsigned)json_integer_value(json_object_get(params, field));
}

static int open_root(char *message, size_t message_size)
{
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root >= 0)
        return root;
    snprintf(message, message_size, "open the root: %s", go_error(errno));
    return -errno;
}

int stat_run(const json_t *params, char *message, size_t message_size)
{
    static struct place place;
    auto_fd root = open_root(message, message_size);
    int result = root < 0 ? root : place_find(root, text_of(params, "path"), &place, message, message_size);
    return result < 0 ? result : place_describe(&place, text_of(params, "path"), STDOUT_FILENO, message, message_size);
}

static int write_tar(int directory, const char *path, const char *name, struct tar_write_options options, char *message,
                     size_t message_size)
{
    char culprit[PATH_MAX];
    struct stat ours;
    if (stat(SUPERVISOR_DIRECTORY, &ours) == 0)
        options.omitted = &ours;
    int result = tar_write(STDOUT_FILENO, directory, path, name, options, culprit, sizeof(culprit));
    if (result < 0)
        snprintf(message, message_size, "archive %s: %s", *culprit == '\0' ? path : culprit, go_error(-result));
    return result;
}

int archive_run(const json_t *params, char *message, size_t message_size)
{
    static struct place place;
    auto_fd root = open_root(message, message_size);
    int result = root < 0 ? root : place_find(root, text_of(params, "path"), &place, message, message_size);
    return result < 0 ? result
                      : write_tar(place.directory, place.name, text_of(params, "name"), (struct tar_write_options){ 0 },
                                  message, message_size);
}

int extract_run(const json_t *params, char *message, size_t message_size)
{
    struct tar_read_options options = {
        .no_overwrite_dir_non_dir = flag(params, "noOverwriteDirNonDir"),
        .keep_destination = true,
        .set_owner = flag(params, "setOwner"),
        .uid = number(params, "uid"),
        .gid = number(params, "gid"),
    };
    char directory[PATH_MAX];
    auto_fd root = open_root(message, message_size);
    if (root < 0)
        return root;
    int result = container_path_evaluate(root, text_of(params, "path"), directory, sizeof(directory));
    if (result < 0) {
        snprintf(message, message_size, "evaluate %s: %s", text_of(params, "path"), go_error(-result));
        return result;
    }
    return tar_read(STDIN_FILENO, directory, options, message, (unsigned)message_size);
}

int export_run(const json_t *params, char *message, size_t message_size)
{
    (void)params;
    auto_fd root = open_root(message, message_size);
    return root < 0
               ? root
               : write_tar(root, ".", "", (struct tar_write_options){ .one_file_system = true }, message, message_size);
}
