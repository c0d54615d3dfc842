/* Inside the container's namespaces: its mounts, devices and files are put below its root, and that becomes "/". All
 * of it happens before pivot_root, through descriptors that were resolved inside the root: /proc/self/fd/N names them
 * for mount(2), and no link in the image can point it at the VM. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/sysctl.h"
#include "machine/nested-engine.h"
#include "paths/bind.h"
#include "paths/mount-options.h"
#include "paths/resolve.h"
#include "process/launch.h"
#include "rootfs/rootfs.h"
#include "rootfs/stubs.h"
#include "rootfs/trees.h"
#include "shares/shares.h"

/* ---- mounts ---- */

/* A tmpfs over a directory of the image has that one's mode, if the mount names none. */
static int keep_mode(int root, const char *target, struct mount_options *options, struct failure *failure)
{
    struct stat status;
    auto_fd existing = resolve_open(root, target, RESOLVE_EXISTING);
    if (existing < 0 || fstat(existing, &status) < 0 || strstr(options->data, "mode=") != NULL)
        return 0;
    size_t used = strlen(options->data);
    int added = snprintf(options->data + used, sizeof(options->data) - used, "%smode=%o", used > 0 ? "," : "",
                         status.st_mode & 07777);
    if (used + (size_t)added >= sizeof(options->data))
        return fail(failure, E2BIG, PHASE_MOUNT, "mount options are too long");
    return 0;
}

/* A part of one of the container's trees; an empty one gets the image's files first if it is to be populated. */
static int mount_tree(const char *directory, int root, const json_t *entry, const struct mount_options *options,
                      struct failure *failure)
{
    const char *source, *subpath, *target;
    int result;
    if ((result = field_string(entry, "source", &source, failure)) < 0 ||
        (result = field_string(entry, "subpath", &subpath, failure)) < 0 ||
        (result = field_string(entry, "target", &target, failure)) < 0)
        return result;
    auto_fd from = tree_open(directory, source, subpath);
    if (from < 0)
        return fail_errno(failure, from, PHASE_MOUNT, "find %s of tree %s", subpath, source);
    if (json_is_true(json_object_get(entry, "populate")) &&
        (result = shares_populate(root, target, path_of(from).text, failure)) < 0)
        return result;
    return bind_onto(path_of(from).text, root, target, options, failure);
}

static int mount_one(const char *directory, int root, const json_t *entry, struct failure *failure)
{
    const char *type, *source, *target;
    json_t *words;
    struct mount_options options;
    int result;
    if ((result = field_string(entry, "type", &type, failure)) < 0 ||
        (result = field_string(entry, "source", &source, failure)) < 0 ||
        (result = field_string(entry, "target", &target, failure)) < 0 ||
        (result = field_array(entry, "options", &words, failure)) < 0 ||
        (result = mount_options_read(words, &options, failure)) < 0)
        return result;
    if (strcmp(type, "tree") == 0)
        return mount_tree(directory, root, entry, &options, failure);
    if (json_is_true(json_object_get(entry, "populate")) &&
        (result = shares_populate(root, target, source, failure)) < 0)
        return result;
    if (strcmp(type, "bind") == 0 || (options.flags & MS_BIND))
        return bind_onto(source, root, target, &options, failure);
    bool is_cgroup = strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0;
    if (is_cgroup)
        type = "cgroup2";
    if (strcmp(type, "tmpfs") == 0 && (result = keep_mode(root, target, &options, failure)) < 0)
        return result;
    auto_fd at = resolve_open(root, target, RESOLVE_MAKE_DIRECTORY);
    if (at < 0)
        return fail_errno(failure, at, PHASE_MOUNT, "make mount point %s", target);
    if (mount(source, path_of(at).text, type, options.flags, is_cgroup ? NULL : options.data) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "mount %s at %s (%s)", type, target, options.data);
    if (options.propagation != 0) {
        auto_fd mounted = resolve_open(root, target, RESOLVE_EXISTING);
        if (mounted >= 0)
            mount(NULL, path_of(mounted).text, NULL, options.propagation, NULL);
    }
    return 0;
}

static int mount_all(const char *directory, int root, const json_t *spec, bool *own_dev, struct failure *failure)
{
    const json_t *mounts = json_object_get(spec, "mounts");
    *own_dev = true;
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const json_t *entry = json_array_get(mounts, i);
        int result = mount_one(directory, root, entry, failure);
        if (result < 0)
            return result;
        const char *target = json_string_value(json_object_get(entry, "target"));
        if (strcmp(target, "/dev") == 0 && strcmp(json_string_value(json_object_get(entry, "type")), "bind") == 0)
            *own_dev = false; /* somebody's /dev: not ours to fill */
    }
    return 0;
}

static int bind_files(const char *directory, int root, const json_t *files, struct failure *failure)
{
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *path;
        bool readonly;
        int result;
        if ((result = field_string(file, "path", &path, failure)) < 0 ||
            (result = field_bool(file, "readonly", &readonly, failure)) < 0)
            return result;
        char source[PATH_MAX];
        const char *shared = json_string_value(json_object_get(file, "source"));
        if (shared != NULL)
            snprintf(source, sizeof(source), "%s", shared);
        else
            snprintf(source, sizeof(source), "%s/f%zu", directory, i);
        struct mount_options options = { .flags = readonly ? MS_RDONLY : 0 };
        result = bind_onto(source, root, path, &options, failure);
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- devices ---- */

static const struct {
    const char *name;
    unsigned minor, major;
} standard_nodes[] = {
    { "null", 3, 1 }, { "zero", 5, 1 }, { "full", 7, 1 }, { "random", 8, 1 }, { "urandom", 9, 1 }, { "tty", 0, 5 },
};

static const struct {
    const char *name, *target;
} standard_links[] = {
    { "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
    { "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },
};

static int make_standard_devices(int root, struct failure *failure)
{
    auto_fd dev = resolve_open(root, "dev", RESOLVE_MAKE_DIRECTORY);
    if (dev < 0)
        return fail_errno(failure, dev, PHASE_MOUNT, "open /dev");
    for (size_t i = 0; i < sizeof(standard_nodes) / sizeof(standard_nodes[0]); i++)
        if (mknodat(dev, standard_nodes[i].name, S_IFCHR | 0666,
                    makedev(standard_nodes[i].major, standard_nodes[i].minor)) < 0 &&
            errno != EEXIST)
            return fail_errno(failure, errno, PHASE_MOUNT, "make /dev/%s", standard_nodes[i].name);
    for (size_t i = 0; i < sizeof(standard_links) / sizeof(standard_links[0]); i++)
        if (symlinkat(standard_links[i].target, dev, standard_links[i].name) < 0 && errno != EEXIST)
            return fail_errno(failure, errno, PHASE_MOUNT, "make /dev/%s", standard_links[i].name);
    return 0;
}

static int make_device(int root, const json_t *device, struct failure *failure)
{
    const char *path, *type, *leaf;
    int64_t major, minor, mode, uid, gid;
    int result;
    if ((result = field_string(device, "path", &path, failure)) < 0 ||
        (result = field_string(device, "type", &type, failure)) < 0 ||
        (result = field_integer(device, "major", &major, failure)) < 0 ||
        (result = field_integer(device, "minor", &minor, failure)) < 0 ||
        (result = field_integer(device, "mode", &mode, failure)) < 0 ||
        (result = field_integer(device, "uid", &uid, failure)) < 0 ||
        (result = field_integer(device, "gid", &gid, failure)) < 0)
        return result;
    auto_fd parent = resolve_parent(root, path, &leaf);
    if (parent < 0)
        return fail_errno(failure, parent, PHASE_MOUNT, "make device %s", path);
    mode_t kind = strcmp(type, "b") == 0 ? S_IFBLK : S_IFCHR;
    if (mknodat(parent, leaf, kind | ((mode_t)mode & 07777), makedev((unsigned)major, (unsigned)minor)) < 0 &&
        errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make device %s", path);
    if (fchownat(parent, leaf, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "give device %s its owner", path);
    return 0;
}

/* A privileged container sees the VM's devices, but for the daemon's own ports and what a container has of its own. */
static int copy_devices(int from, int to, int depth, struct failure *failure)
{
    static const char *const left_out[] = {
        ".", "..", "pts", "shm", "mqueue", "console", "ptmx", "fd", "virtio-ports"
    };
    int copy = fcntl(from, F_DUPFD_CLOEXEC, 3);
    auto_directory directory = copy >= 0 ? fdopendir(copy) : NULL;
    if (directory == NULL)
        return fail_errno(failure, errno, PHASE_MOUNT, "list the VM's devices");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        bool skip = strncmp(entry->d_name, "vport", 5) == 0;
        for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
            skip |= strcmp(entry->d_name, left_out[i]) == 0;
        struct stat status;
        if (skip || fstatat(from, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(status.st_mode) && depth > 0) {
            mkdirat(to, entry->d_name, 0755);
            auto_fd inner_from = openat(from, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            auto_fd inner_to = openat(to, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            int result = inner_from < 0 || inner_to < 0 ? 0 : copy_devices(inner_from, inner_to, depth - 1, failure);
            if (result < 0)
                return result;
        } else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
            mknodat(to, entry->d_name, status.st_mode, status.st_rdev);
        }
    }
    return 0;
}

static int make_devices(int root, const json_t *spec, struct failure *failure)
{
    int result = make_standard_devices(root, failure);
    const json_t *devices = json_object_get(spec, "devices");
    for (size_t i = 0; result == 0 && i < json_array_size(devices); i++)
        result = make_device(root, json_array_get(devices, i), failure);
    if (result == 0 && json_is_true(json_object_get(spec, "privileged"))) {
        auto_fd from = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_fd path = resolve_open(root, "dev", RESOLVE_EXISTING);
        auto_fd to = path >= 0 ? openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (from < 0 || to < 0)
            return fail_errno(failure, errno, PHASE_MOUNT, "open /dev");
        result = copy_devices(from, to, 4, failure);
    }
    return result;
}

static int bind_console(int root, int slave, struct failure *failure)
{
    struct mount_options none = { 0 };
    return bind_onto(path_of(slave).text, root, "/dev/console", &none, failure);
}

/* ---- what is hidden ---- */

static int mask_path(int root, const char *path, struct failure *failure)
{
    auto_fd at = resolve_open(root, path, RESOLVE_EXISTING);
    if (at == -ENOENT || at == -ENOTDIR)
        return 0;
    struct stat status;
    if (at < 0 || fstat(at, &status) < 0)
        return fail_errno(failure, at < 0 ? at : errno, PHASE_MOUNT, "can't mask path %s", path);
    int result;
    if (S_ISDIR(status.st_mode)) {
        result = mount("tmpfs", path_of(at).text, "tmpfs", MS_RDONLY, NULL);
    } else {
        auto_fd null = resolve_open(root, "dev/null", RESOLVE_EXISTING);
        result = null < 0 ? -1 : mount(path_of(null).text, path_of(at).text, NULL, MS_BIND, NULL);
    }
    return result < 0 ? fail_errno(failure, errno, PHASE_MOUNT, "can't mask path %s", path) : 0;
}

static int make_readonly(int root, const char *path, struct failure *failure)
{
    auto_fd at = resolve_open(root, path, RESOLVE_EXISTING);
    if (at == -ENOENT || at == -ENOTDIR)
        return 0;
    if (at < 0 || mount(path_of(at).text, path_of(at).text, NULL, MS_BIND | MS_REC, NULL) < 0)
        return fail_errno(failure, at < 0 ? at : errno, PHASE_MOUNT, "can't make %s read-only", path);
    auto_fd mounted = resolve_open(root, path, RESOLVE_EXISTING);
    /* The file system's own options (proc is nosuid, nodev, noexec) stay as they are. */
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mounted < 0 || mount(NULL, path_of(mounted).text, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "can't make %s read-only", path);
    return 0;
}

static int for_each_path(const json_t *paths, int root, int (*apply)(int, const char *, struct failure *),
                         struct failure *failure)
{
    for (size_t i = 0; i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        int result = path != NULL ? apply(root, path, failure) : 0;
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- the move ---- */

static int make_cwd(int root, const char *cwd, struct failure *failure)
{
    if (*cwd == '\0')
        return 0;
    auto_fd at = resolve_open(root, cwd, RESOLVE_MAKE_DIRECTORY);
    if (at < 0)
        return fail_errno(failure, at, PHASE_MOUNT, "mkdir %s", cwd);
    return 0;
}

static int pivot(int root, struct failure *failure)
{
    auto_fd old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "pivot_root");
    if (fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "leave the VM's root");
    return 0;
}

int rootfs_enter(const char *directory, const json_t *spec, bool init, struct launch *launch, struct failure *failure)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/root", directory);
    auto_fd root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "open %s", path);
    bool own_dev;
    struct mount_options readonly = { .flags = MS_RDONLY };
    int stubs = json_is_true(json_object_get(spec, "step")) ? stubs_note(directory) : -1;
    int result = mount_all(directory, root, spec, &own_dev, failure);
    if (result == 0)
        result = nested_engine_bind(directory, root, spec, failure);
    if (result == 0)
        result = bind_files(directory, root, json_object_get(spec, "files"), failure);
    stubs_noted(stubs);
    if (result == 0 && own_dev)
        result = make_devices(root, spec, failure);
    if (result == 0 && init)
        result = bind_onto("/sbin/docker-init", root, "/sbin/docker-init", &readonly, failure);
    if (result == 0 && launch->spec->terminal) {
        int slave = child_terminal(launch, root, failure);
        result = slave < 0 ? slave : bind_console(root, slave, failure);
    }
    if (result == 0)
        result = make_cwd(root, launch->spec->cwd, failure);
    if (result == 0)
        result = sysctls_write(json_object_get(spec, "sysctls"), failure);
    if (result == 0)
        result = for_each_path(json_object_get(spec, "readonlyPaths"), root, make_readonly, failure);
    if (result == 0)
        result = for_each_path(json_object_get(spec, "maskedPaths"), root, mask_path, failure);
    if (result == 0)
        result = pivot(root, failure);
    if (result == 0 && json_is_true(json_object_get(json_object_get(spec, "rootfs"), "readonly")) &&
        mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
        return fail_errno(failure, errno, PHASE_MOUNT, "make the root read-only");
    return result;
}
