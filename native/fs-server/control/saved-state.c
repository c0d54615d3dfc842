#include "control/saved-state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fingerprint.h"
#include "base/memory.h"
#include "base/state-file.h"
#include "host/shares.h"
#include "operations/attributes.h"
#include "table/handles.h"
#include "table/inodes.h"
#include "table/locks.h"
#include "wire/transport.h"

// Raised when what follows changes its meaning: "CAISFS" and a version.
#define MAGIC UINT64_C(0x4341495346530001)

enum {
    HANDLE_FLAGS = O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_NOATIME,
    KIND_FILE = 0,
    KIND_DIRECTORY = 1,
    MAX_WAITING_BYTES = 16 << 20,
};

__attribute__((format(printf, 2, 3))) static void explain(char reason[MAX_REASON], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, MAX_REASON, format, arguments);
    va_end(arguments);
}

/** The path of what a descriptor stands for, as the host has it now; false if that is too long to be told. */
static bool host_path(int fd, char path[PATH_MAX]) {
    ssize_t length = readlink(fd_path(fd).text, path, PATH_MAX - 1);
    if (length < 0 || length == PATH_MAX - 1)
        return false;
    path[length] = '\0';
    return true;
}

/** Opens what lies at `path` below the share, never through a link; "" is the share itself. -1 and errno. */
static int open_below(const struct share *share, const char *path) {
    if (path[0] == '\0')
        return fcntl(share->root->fd, F_DUPFD_CLOEXEC, 0);
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, share->root->fd, path, &how, sizeof how);
}

/** Where below its share a file is found. False: nowhere, by the name that we know. */
static bool path_below_share(const struct inode *inode, char path[PATH_MAX]) {
    char root[PATH_MAX], full[PATH_MAX];
    path[0] = '\0';
    if (inode->share->root == inode)
        return true;
    if (!host_path(inode->share->root->fd, root) || !host_path(inode->fd, full))
        return false;
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(full, root, length) != 0 || full[length] != '/')
        return false;
    snprintf(path, PATH_MAX, "%s", full + length + 1);
    // The name may be another file's by now, and the kernel tells of one that has none as "NAME (deleted)".
    int fd = open_below(inode->share, path);
    struct stat st;
    bool found = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == inode->dev && st.st_ino == inode->ino;
    if (fd >= 0)
        close(fd);
    return found;
}

/* ---- saving ---- */

struct saving {
    FILE *file;
    char *reason;
    struct inode **inodes;
    size_t inode_count;
};

static bool is_root(const struct inode *inode) {
    return inode->share->root == inode;
}

static int save_shares(const struct saving *saving) {
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

/** One after the other, each behind a 1: some are left out. What is left out is unknown to the next server. */
static int save_inodes(const struct saving *saving) {
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
                     uint64_t length) {
    put_number(file, 1);
    put_number(file, node);
    put_number(file, owner->owner);
    put_number(file, owner->handle);
    put_number(file, (uint64_t)type);
    put_number(file, start);
    put_number(file, length);
}

/**
 * Locks of one descriptor, as the kernel tells of them (proc(5), fdinfo): calls put_lock() for ranges, which have an owner, and
 * returns the type of a flock, or F_UNLCK.
 */
static int read_locks(FILE *file, uint64_t node, const struct lock_owner *owner, int fd) {
    char path[48], line[256];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "re");
    int flock_type = F_UNLCK;
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        char kind[16], type[16], end[32];
        uint64_t start;
        if (sscanf(line, "lock: %*d: %15s %*s %15s %*d %*s %" SCNu64 " %31s", kind, type, &start, end) != 4)
            continue;
        int held = strcmp(type, "WRITE") == 0 ? F_WRLCK : F_RDLCK;
        if (strcmp(kind, "FLOCK") == 0)
            flock_type = held;
        else if (strcmp(kind, "OFDLCK") == 0 && owner != NULL)
            put_lock(file, node, owner, held, start,
                     strcmp(end, "EOF") == 0 ? 0 : strtoull(end, NULL, 10) - start + 1);
    }
    if (info != NULL)
        fclose(info);
    return flock_type;
}

static void save_locks(const struct saving *saving) {
    for (size_t i = 0; i < saving->inode_count; i++)
        for (const struct lock_owner *owner = saving->inodes[i]->locks; owner != NULL; owner = owner->next)
            read_locks(saving->file, saving->inodes[i]->id, owner, owner->fd);
    put_number(saving->file, 0);
}

/** Whether a file that is open will be found; of one that the guest has forgotten nobody knows. */
static bool will_be_found(const struct saving *saving, const struct handle *handle) {
    struct inode *inode = hold_inode(handle->node);
    char path[PATH_MAX], full[PATH_MAX];
    bool found = inode == NULL || handle->dir != NULL || path_below_share(inode, path);
    if (!found && host_path(inode->fd, full))
        explain(saving->reason, "it has %s open, which was deleted, or moved out of the mount", full);
    else if (!found)
        explain(saving->reason, "it has a file open whose path is too long");
    drop_inode(inode);
    return found;
}

static int save_handles(const struct saving *saving) {
    size_t count;
    struct handle **handles = list_handles(&count);
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
        // ranges belong to other descriptors
        put_number(saving->file, (uint64_t)read_locks(saving->file, 0, NULL, fd));
    }
    put_number(saving->file, 0);
    free(handles);
    return error;
}

static int save_requests(FILE *file) {
    unsigned char *bytes;
    size_t length;
    int error = peek_requests(&bytes, &length);
    if (error != 0)
        return error;
    put_bytes(file, bytes, length);
    free(bytes);
    return 0;
}

static int save_all(const struct saving *saving) {
    uint64_t devices[MAX_DEVICES];
    size_t device_count = list_devices(devices);
    put_number(saving->file, MAGIC);
    put_number(saving->file, next_inode_number(0));
    put_number(saving->file, next_handle_number(0));
    put_bytes(saving->file, devices, device_count * sizeof devices[0]);
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

int save_state(const char *path, char reason[MAX_REASON]) {
    reason[0] = '\0';
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct saving saving = {.file = fd >= 0 ? fdopen(fd, "w") : NULL, .reason = reason};
    if (saving.file == NULL)
        return errno;
    saving.inodes = list_inodes(&saving.inode_count);
    int error = save_all(&saving);
    free(saving.inodes);
    if (error == 0 && (fflush(saving.file) != 0 || fsync(fd) < 0))
        error = errno;
    if (error == 0 && ferror(saving.file))
        error = EIO;
    if (fclose(saving.file) != 0 && error == 0)
        error = errno;
    if (error != 0)
        unlink(path);
    return error;
}

/* ---- loading ---- */

/** A share as it was. */
struct saved_share {
    struct saved_share *next;
    char name[sizeof((struct share *)0)->name];
    struct share *share;
    struct fingerprint before, now;
    // It is what it was, and so can its files be told from others.
    bool same;
};

struct loading {
    struct state_reader reader;
    char *reason;
    struct saved_share *shares;
    uint64_t next_inode, next_handle;
};

static uint64_t take_node(struct loading *loading) {
    uint64_t node = take_number(&loading->reader);
    if (node <= 1 || node >= loading->next_inode)
        loading->reader.failed = true;
    return node;
}

/** Roots have the first numbers of this server, which may be those of other files: all get one that nobody has. */
static int free_root_numbers(struct loading *loading) {
    size_t count;
    struct inode **roots = list_inodes(&count);
    uint64_t next = next_inode_number(loading->next_inode);
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        if (!is_root(roots[i]) || !renumber_inode(roots[i], next + i, 1))
            error = EBUSY;
    next_inode_number(next + count);
    free(roots);
    return error;
}

static int load_shares(struct loading *loading) {
    struct state_reader *reader = &loading->reader;
    for (uint64_t count = take_number(reader); count > 0 && !reader->failed; count--) {
        struct saved_share *saved = allocate(sizeof *saved);
        saved->next = loading->shares;
        loading->shares = saved;
        take_text(reader, saved->name, sizeof saved->name);
        uint64_t id = take_node(loading), lookups = take_number(reader);
        mode_t type = (mode_t)take_number_up_to(reader, S_IFMT);
        saved->before = read_fingerprint(reader);
        // One that is not there is that of a container which was in the VM before.
        if (reader->failed || (saved->share = share_named(saved->name)) == NULL)
            continue;
        struct inode *root = saved->share->root;
        int error = take_fingerprint(root->fd, &saved->now);
        if (error != 0)
            return error;
        saved->same = same_file(&saved->before, &saved->now);
        if (root->type != type) {
            char path[PATH_MAX] = "";
            host_path(root->fd, path);
            explain(loading->reason, "%s was %s", path, type == S_IFDIR ? "a directory" : "a file");
            return EBUSY;
        }
        if (!renumber_inode(root, id, lookups))
            return EBADMSG;
    }
    return 0;
}

static const struct saved_share *take_share(struct loading *loading) {
    char name[sizeof((struct share *)0)->name];
    take_text(&loading->reader, name, sizeof name);
    const struct saved_share *share = loading->shares;
    while (share != NULL && strcmp(share->name, name) != 0)
        share = share->next;
    return share;
}

/** Whether what is at the path is what was there. */
static bool is_same(const struct saved_share *share, const struct fingerprint *before, const struct fingerprint *now) {
    if (!share->same)
        return true;
    bool was_inside = before->dev == share->before.dev, is_inside = now->dev == share->now.dev;
    return same_file(before, now) && was_inside == is_inside;
}

static int load_inode(struct loading *loading) {
    struct state_reader *reader = &loading->reader;
    uint64_t id = take_node(loading), lookups = take_number(reader);
    mode_t type = (mode_t)take_number_up_to(reader, S_IFMT);
    const struct saved_share *share = take_share(loading);
    char path[PATH_MAX];
    take_text(reader, path, sizeof path);
    struct fingerprint before = read_fingerprint(reader), now;
    if (reader->failed || path[0] == '\0' || share == NULL)
        return EBADMSG;
    if (share->share == NULL)
        return 0;
    int fd = open_below(share->share, path);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? errno : 0;
    struct stat st;
    if (fstat(fd, &st) < 0 || take_fingerprint(fd, &now) != 0 || (st.st_mode & S_IFMT) != type ||
        !is_same(share, &before, &now)) {
        close(fd);
        return 0;
    }
    return restore_inode(id, lookups, fd, &st, share->share) != NULL ? 0 : EBADMSG;
}

/** Of a list whose members stand behind a 1 each. */
static int load_each(struct loading *loading, int (*load)(struct loading *)) {
    int error = 0;
    while (error == 0 && take_number_up_to(&loading->reader, 1) == 1)
        error = load(loading);
    return error;
}

static int load_inodes(struct loading *loading) {
    return load_each(loading, load_inode);
}

/** Says of a file what could not be done again. Returns the error. */
static int complain_of(struct loading *loading, const struct inode *inode, const char *what, int error) {
    char path[PATH_MAX] = "";
    host_path(inode->fd, path);
    explain(loading->reason, "%s %s: %s", what, path, strerror(error));
    return error;
}

static int reopen_handle(struct loading *loading, struct inode *inode, uint64_t id, bool directory, int flags,
                         int flock_type) {
    if (inode->type != (directory ? S_IFDIR : S_IFREG))
        return EBADMSG;
    int fd = reopen(inode, flags | (directory ? O_DIRECTORY : 0));
    if (fd < 0)
        return complain_of(loading, inode, "open", errno);
    if (flock_type != F_UNLCK && flock(fd, (flock_type == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
        int error = errno;
        close(fd);
        return complain_of(loading, inode, "take the lock again that it had on", error);
    }
    DIR *dir = directory ? fdopendir(fd) : NULL;
    if (directory && dir == NULL) {
        int error = errno;
        close(fd);
        return error;
    }
    return restore_handle(id, inode->id, fd, dir) ? 0 : EBADMSG;
}

static int load_handle(struct loading *loading) {
    struct state_reader *reader = &loading->reader;
    uint64_t id = take_number(reader), node = take_node(loading);
    bool directory = take_number_up_to(reader, KIND_DIRECTORY) == KIND_DIRECTORY;
    int flags = (int)take_number_up_to(reader, INT_MAX);
    int flock_type = (int)take_number_up_to(reader, F_UNLCK);
    if (reader->failed || id == 0 || id >= loading->next_handle || (flags & ~HANDLE_FLAGS) != 0 ||
        (flags & O_ACCMODE) == O_ACCMODE)
        return EBADMSG;
    struct inode *inode = hold_inode(node);
    // One of a file that is not found answers as the file does.
    int error = inode == NULL ? 0 : reopen_handle(loading, inode, id, directory, flags, flock_type);
    drop_inode(inode);
    return error;
}

static int load_handles(struct loading *loading) {
    return load_each(loading, load_handle);
}

static int load_lock(struct loading *loading) {
    struct state_reader *reader = &loading->reader;
    uint64_t node = take_node(loading), owner = take_number(reader), handle = take_number(reader);
    struct flock lock = {.l_type = (short)take_number_up_to(reader, F_WRLCK), .l_whence = SEEK_SET};
    lock.l_start = (off_t)take_number_up_to(reader, INT64_MAX);
    lock.l_len = (off_t)take_number_up_to(reader, INT64_MAX - (uint64_t)lock.l_start);
    if (reader->failed)
        return EBADMSG;
    struct inode *inode = hold_inode(node);
    int error = inode == NULL ? 0 : restore_lock(inode, owner, handle, &lock);
    if (error != 0)
        error = complain_of(loading, inode, "take the lock again that it had on", error);
    drop_inode(inode);
    return error;
}

static int load_locks(struct loading *loading) {
    return load_each(loading, load_lock);
}

/** Numbers of files and handles, and of devices. */
static int load_numbers(struct loading *loading) {
    struct state_reader *reader = &loading->reader;
    if (take_number(reader) != MAGIC)
        return EBADMSG;
    loading->next_inode = take_number_up_to(reader, INT64_MAX);
    loading->next_handle = take_number_up_to(reader, INT64_MAX);
    uint64_t devices[MAX_DEVICES];
    size_t length;
    const unsigned char *bytes = take_field(reader, sizeof devices, &length);
    if (reader->failed || length % sizeof devices[0] != 0)
        return EBADMSG;
    if (length > 0)
        memcpy(devices, bytes, length);
    restore_devices(devices, length / sizeof devices[0]);
    next_handle_number(loading->next_handle);
    return free_root_numbers(loading);
}

static int load_requests(struct loading *loading) {
    struct state_reader *reader = &loading->reader;
    size_t length;
    const unsigned char *bytes = take_field(reader, MAX_WAITING_BYTES, &length);
    if (take_number(reader) != MAGIC || reader->failed || reader->at != reader->length)
        return EBADMSG;
    unsigned char *copy = allocate(length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    put_requests_first(copy, length);
    return 0;
}

int load_state(const char *path, char reason[MAX_REASON]) {
    reason[0] = '\0';
    struct loading loading = {.reason = reason};
    int (*const parts[])(struct loading *) = {load_numbers, load_shares, load_inodes,
                                              load_handles, load_locks,  load_requests};
    int error = open_state(path, &loading.reader);
    for (size_t i = 0; error == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        error = parts[i](&loading);
        if (error == 0 && loading.reader.failed)
            error = EBADMSG;
    }
    free(loading.reader.bytes);
    while (loading.shares != NULL) {
        struct saved_share *share = loading.shares;
        loading.shares = share->next;
        free(share);
    }
    return error;
}
