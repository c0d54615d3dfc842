#include "control/save.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fingerprint.h"
#include "base/state-file.h"
#include "include/cleanup.h"
#include "table/devices.h"
#include "table/handles.h"
#include "table/inodes.h"
#include "wire/transport.h"

/* Where below its share a file is found. False: nowhere, by the name that we know. */
static bool path_below_share(const struct inode *inode, char path[PATH_MAX])
{
    char root[PATH_MAX], full[PATH_MAX];
    path[0] = '\0';
    if (is_root(inode))
        return true;
    if (!path_in_mount(inode->share->root->fd, root) || !path_in_mount(inode->fd, full))
        return false;
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(full, root, length) != 0 || full[length] != '/')
        return false;
    snprintf(path, PATH_MAX, "%s", full + length + 1);
    /* The name may be another file's by now, and the kernel tells of one that has none as "NAME (deleted)". */
    auto_fd fd = open_below(inode->share, path);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == inode->dev && st.st_ino == inode->ino;
}

struct saving {
    FILE *file;
    char *reason;
    struct inode **inodes;
    size_t inode_count;
};

static int save_shares(const struct saving *saving)
{
    size_t count = 0;
    for (size_t i = 0; i < saving->inode_count; i++)
        count += is_root(saving->inodes[i]) ? 1 : 0;
    put_number(saving->file, count);
    for (size_t i = 0; i < saving->inode_count; i++) {
        const struct inode *root = saving->inodes[i];
        if (!is_root(root))
            continue;
        struct fingerprint print;
        int error = take_fingerprint(root->fd, &print);
        if (error != 0)
            return error;
        put_bytes(saving->file, root->share->name, strlen(root->share->name));
        put_number(saving->file, root->id);
        put_number(saving->file, root->lookups);
        put_number(saving->file, root->type);
        put_fingerprint(saving->file, &print);
    }
    return 0;
}

/* One after the other, each behind a 1: some are left out. What is left out is unknown to the next server. */
static int save_inodes(const struct saving *saving)
{
    for (size_t i = 0; i < saving->inode_count; i++) {
        const struct inode *inode = saving->inodes[i];
        char path[PATH_MAX];
        struct fingerprint print;
        if (is_root(inode) || !path_below_share(inode, path))
            continue;
        int error = take_fingerprint(inode->fd, &print);
        if (error != 0)
            return error;
        put_number(saving->file, 1);
        put_number(saving->file, inode->id);
        put_number(saving->file, inode->lookups);
        put_number(saving->file, inode->type);
        put_bytes(saving->file, inode->share->name, strlen(inode->share->name));
        put_bytes(saving->file, path, strlen(path));
        put_fingerprint(saving->file, &print);
    }
    put_number(saving->file, 0);
    return 0;
}

static void put_lock(FILE *file, uint64_t node, const struct lock_owner *owner, int type, uint64_t start,
                     uint64_t length)
{
    put_number(file, 1);
    put_number(file, node);
    put_number(file, owner->owner);
    put_number(file, owner->handle);
    put_number(file, (uint64_t)type);
    put_number(file, start);
    put_number(file, length);
}

/* Locks of one descriptor, as the kernel tells of them (proc(5), fdinfo): calls put_lock() for ranges, which have an owner, and
 * returns the type of a flock, or F_UNLCK. */
static int read_locks(FILE *file, uint64_t node, const struct lock_owner *owner, int fd)
{
    char path[48], line[256];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    auto_file info = fopen(path, "re");
    int flock_type = F_UNLCK;
    while (info != NULL && fgets(line, sizeof(line), info) != NULL) {
        char kind[16], type[16], end[32];
        uint64_t start;
        if (sscanf(line, "lock: %*d: %15s %*s %15s %*d %*s %" SCNu64 " %31s", kind, type, &start, end) != 4)
            continue;
        int held = strcmp(type, "WRITE") == 0 ? F_WRLCK : F_RDLCK;
        if (strcmp(kind, "FLOCK") == 0)
            flock_type = held;
        else if (strcmp(kind, "OFDLCK") == 0 && owner != NULL)
            put_lock(file, node, owner, held, start, strcmp(end, "EOF") == 0 ? 0 : strtoull(end, NULL, 10) - start + 1);
    }
    return flock_type;
}

static void save_locks(const struct saving *saving)
{
    for (size_t i = 0; i < saving->inode_count; i++)
        for (const struct lock_owner *owner = saving->inodes[i]->locks; owner != NULL; owner = owner->next)
            read_locks(saving->file, saving->inodes[i]->id, owner, owner->fd);
    put_number(saving->file, 0);
}

/* Whether a file that is open will be found; of one that the guest has forgotten nobody knows. */
static bool will_be_found(const struct saving *saving, const struct handle *handle)
{
    struct inode *inode = hold_inode(handle->node);
    char path[PATH_MAX], full[HOST_PATH_MAX];
    bool found = inode == NULL || handle->dir != NULL || path_below_share(inode, path);
    if (!found && host_path(inode, full))
        explain(saving->reason, "it has %s open, which was deleted, or moved out of the mount", full);
    else if (!found)
        explain(saving->reason, "it has a file open whose path is too long");
    drop_inode(inode);
    return found;
}

static int save_handles(const struct saving *saving)
{
    size_t count;
    auto_free struct handle **handles = list_handles(&count);
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        const struct handle *handle = handles[i];
        int fd = handle->dir != NULL ? dirfd(handle->dir) : handle->fd;
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0)
            error = errno;
        else if (!will_be_found(saving, handle))
            error = EBUSY;
        put_number(saving->file, 1);
        put_number(saving->file, handle->id);
        put_number(saving->file, handle->node);
        put_number(saving->file, handle->dir != NULL ? KIND_DIRECTORY : KIND_FILE);
        put_number(saving->file, (uint64_t)(flags & HANDLE_FLAGS));
        /* ranges belong to other descriptors */
        put_number(saving->file, (uint64_t)read_locks(saving->file, 0, NULL, fd));
    }
    put_number(saving->file, 0);
    return error;
}

static int save_requests(FILE *file)
{
    auto_free unsigned char *bytes = NULL;
    size_t length;
    int error = peek_requests(&bytes, &length);
    if (error == 0)
        put_bytes(file, bytes, length);
    return error;
}

static int save_all(const struct saving *saving)
{
    uint64_t devices[MAX_DEVICES];
    size_t device_count = list_devices(devices);
    put_number(saving->file, MAGIC);
    put_number(saving->file, next_inode_number(0));
    put_number(saving->file, next_handle_number(0));
    put_bytes(saving->file, devices, device_count * sizeof(devices[0]));
    int error = save_shares(saving);
    if (error == 0)
        error = save_inodes(saving);
    if (error == 0)
        error = save_handles(saving);
    if (error == 0)
        save_locks(saving);
    if (error == 0)
        error = save_requests(saving->file);
    put_number(saving->file, MAGIC);
    return error;
}

int save_state(int fd, char reason[MAX_REASON])
{
    reason[0] = '\0';
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    auto_file file = copy >= 0 ? fdopen(copy, "w") : NULL;
    if (file == NULL)
        return errno;
    struct saving saving = { .file = file, .reason = reason };
    saving.inodes = list_inodes(&saving.inode_count);
    int error = save_all(&saving);
    free(saving.inodes);
    if (error == 0 && (fflush(file) != 0 || fsync(fd) < 0))
        error = errno;
    return error == 0 && ferror(file) ? EIO : error;
}
