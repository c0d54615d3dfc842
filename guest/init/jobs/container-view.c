/* A container's file system as Docker's own operations see it. */
#include "jobs/container-view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "container/container-table.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "paths/bind.h"
#include "paths/resolve.h"
#include "protocol/agent.h"
#include "rootfs/trees.h"

static const struct mount_options none, readonly = { .flags = MS_RDONLY };

static bool is_volume(const json_t *entry)
{
    const char *source = json_string_value(json_object_get(entry, "source"));
    return source != NULL && strncmp(source, SHARES_DIRECTORY "/", sizeof(SHARES_DIRECTORY)) == 0;
}

static bool has_option(const json_t *entry, const char *word)
{
    const json_t *options = json_object_get(entry, "options");
    for (size_t i = 0; i < json_array_size(options); i++) {
        const char *option = json_string_value(json_array_get(options, i));
        if (option != NULL && strcmp(option, word) == 0)
            return true;
    }
    return false;
}

static bool is_tree(const json_t *entry)
{
    const char *type = json_string_value(json_object_get(entry, "type"));
    return type != NULL && strcmp(type, "tree") == 0;
}

/* Opens what of the tree is mounted. Returns a descriptor or -errno. */
static int open_tree_part(const struct container *container, const json_t *entry, const char *number,
                          struct failure *failure)
{
    const char *subpath;
    int result = field_string(entry, "subpath", &subpath, failure);
    if (result < 0)
        return result;
    int fd = tree_open(container->directory, number, subpath);
    return fd < 0 ? fail_errno(failure, -fd, PHASE_MOUNT, "find %s of tree %s", subpath, number) : fd;
}

static int mount_volumes(const struct container *container, int root, struct failure *failure)
{
    const json_t *mounts = json_object_get(container->spec, "mounts");
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const json_t *entry = json_array_get(mounts, i);
        const char *source, *target;
        int result;
        if (!is_volume(entry) && !is_tree(entry))
            continue;
        if ((result = field_string(entry, "source", &source, failure)) < 0 ||
            (result = field_string(entry, "target", &target, failure)) < 0)
            return result;
        auto_fd part = is_tree(entry) ? open_tree_part(container, entry, source, failure) : -1;
        if (is_tree(entry) && part < 0)
            return part;
        struct fd_path of_part = path_of(part);
        if ((result = bind_onto(is_tree(entry) ? of_part.text : source, root, target,
                                has_option(entry, "ro") ? &readonly : &none, failure)) < 0)
            return result;
    }
    return 0;
}

static int mount_files(const struct container *container, int root, struct failure *failure)
{
    const json_t *files = json_object_get(container->spec, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *path;
        char source[PATH_MAX];
        int result = field_string(json_array_get(files, i), "path", &path, failure);
        snprintf(source, sizeof(source), "%s/f%zu", container->directory, i);
        if (result == 0)
            result = bind_onto(source, root, path, &none, failure);
        if (result < 0)
            return result;
    }
    return 0;
}

int container_view_open(const struct container *container, struct failure *failure)
{
    char path[PATH_MAX];
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "make a mount namespace");
    snprintf(path, sizeof(path), "%s/root", container->directory);
    auto_fd root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail_errno(failure, errno, PHASE_IO, "open the container's root");
    int result = mount_volumes(container, root, failure);
    if (result == 0)
        result = mount_files(container, root, failure);
    return result < 0 ? result : take_fd(&root);
}
