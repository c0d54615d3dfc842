// The host's end of shared files: answers the FUSE requests of one VM, which arrive on the unix socket of a
// virtio-serial port. One process for each VM that shares anything; it outlives the daemon, as the VM does.
//
//   fs-server FUSE_SOCKET CONTROL_SOCKET
//
// The file system's root is a virtual directory whose children are the shares (bind mounts and volumes),
// added over the control socket. A request names an inode that was handed out before, and at most one path
// component: paths are never walked and symbolic links never followed on the host, so nothing outside a share
// can be reached, whatever the guest races or forges. Only regular files and directories are ever opened
// here; device nodes, FIFOs and sockets are the guest kernel's business.

#define _GNU_SOURCE
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    MAX_WRITE = 1 << 20,
    MAX_REQUEST = MAX_WRITE + 65536,
    WORKERS = 4,
    // A guest that sends without reading answers is not read from beyond this; it stalls only itself.
    MAX_QUEUED_BYTES = 64 << 20,
    BUCKETS = 1 << 14,
    MAX_DEVICES = 4096,
};

struct share {
    struct share *next;
    char name[64];
    bool readonly;
    // Seconds that the guest may cache names and attributes of this share.
    double cache_seconds;
    struct inode *root;
};

struct lock_owner {
    struct lock_owner *next;
    uint64_t owner;
    int fd;
};

/** A file the guest knows. `fd` is O_PATH; it is freed when the guest has forgotten it and no request uses
 * it. */
struct inode {
    struct inode *next_by_id, *next_by_key;
    uint64_t id;
    dev_t dev;
    ino_t ino;
    mode_t type;
    int fd;
    uint64_t lookups;
    unsigned users;
    struct share *share;
    struct lock_owner *locks;
};

/** An open file or directory. */
struct handle {
    struct handle *next;
    uint64_t id;
    uint64_t node;
    int fd;
    DIR *dir;
    unsigned users;
    bool released;
    // A DIR has one position.
    pthread_mutex_t reading;
};

struct request {
    struct request *next;
    size_t length;
    // Followed by the bytes as they came: struct fuse_in_header, then the operation's own.
    unsigned char bytes[];
};

/** A request that waits for a lock, in a thread of its own. */
struct waiting {
    struct waiting *next;
    struct request *request;
    uint64_t unique;
    pthread_t thread;
    bool started;
};

static int fuse_socket = -1;
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static pthread_cond_t queue_drained = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t waiting_lock = PTHREAD_MUTEX_INITIALIZER;

static struct share *shares;
static struct inode *inodes_by_id[BUCKETS];
static struct inode *inodes_by_key[BUCKETS];
static struct handle *handles[BUCKETS];
static uint64_t next_inode_id = FUSE_ROOT_ID + 1;
static uint64_t next_handle_id = 1;
static dev_t devices[MAX_DEVICES];
static size_t device_count;
static struct request *queue_head, *queue_tail;
static size_t queued_bytes;
static struct waiting *waiting_list;
static bool privileged;

static void complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        complain("fs-server: out of memory");
        exit(1);
    }
    return memory;
}

/* ---- answers ---- */

static void answer(uint64_t unique, int error, const void *data, size_t length) {
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + length), .error = error, .unique = unique};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)(uintptr_t)data, length}};
    struct iovec *part = parts;
    int count = length > 0 ? 2 : 1;
    pthread_mutex_lock(&write_lock);
    while (count > 0) {
        ssize_t written = writev(fuse_socket, part, count);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            exit(0); // the VM is gone
        }
        size_t done = (size_t)written;
        while (count > 0 && done >= part->iov_len) {
            done -= part->iov_len;
            part++;
            count--;
        }
        if (count > 0) {
            part->iov_base = (char *)part->iov_base + done;
            part->iov_len -= done;
        }
    }
    pthread_mutex_unlock(&write_lock);
}

static void answer_error(uint64_t unique, int error) {
    answer(unique, -error, NULL, 0);
}

/* ---- inodes and handles ---- */

static size_t bucket_of(uint64_t value) {
    return (size_t)((value * 0x9E3779B97F4A7C15ull) >> 50) % BUCKETS;
}

static size_t bucket_of_key(dev_t dev, ino_t ino, const struct share *share) {
    return bucket_of((uint64_t)ino ^ ((uint64_t)dev << 40) ^ (uint64_t)(uintptr_t)share);
}

static struct inode *find_inode(uint64_t id) {
    struct inode *inode = inodes_by_id[bucket_of(id)];
    while (inode != NULL && inode->id != id)
        inode = inode->next_by_id;
    return inode;
}

/** Takes the inode for the time of a request; NULL if the guest made the number up. */
static struct inode *hold_inode(uint64_t id) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = find_inode(id);
    if (inode != NULL)
        inode->users++;
    pthread_mutex_unlock(&table_lock);
    return inode;
}

static void free_if_unused(struct inode *inode) {
    if (inode->lookups > 0 || inode->users > 0 || inode->share->root == inode)
        return;
    struct inode **link = &inodes_by_id[bucket_of(inode->id)];
    while (*link != inode)
        link = &(*link)->next_by_id;
    *link = inode->next_by_id;
    link = &inodes_by_key[bucket_of_key(inode->dev, inode->ino, inode->share)];
    while (*link != inode)
        link = &(*link)->next_by_key;
    *link = inode->next_by_key;
    while (inode->locks != NULL) {
        struct lock_owner *lock = inode->locks;
        inode->locks = lock->next;
        close(lock->fd);
        free(lock);
    }
    close(inode->fd);
    free(inode);
}

static void drop_inode(struct inode *inode) {
    if (inode == NULL)
        return;
    pthread_mutex_lock(&table_lock);
    inode->users--;
    free_if_unused(inode);
    pthread_mutex_unlock(&table_lock);
}

static void forget(uint64_t id, uint64_t lookups) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = find_inode(id);
    if (inode != NULL) {
        inode->lookups -= lookups > inode->lookups ? inode->lookups : lookups;
        free_if_unused(inode);
    }
    pthread_mutex_unlock(&table_lock);
}

/** Gives `fd` (O_PATH, consumed) a number, or finds the one it has; counts one lookup unless `count` is
 * false. */
static struct inode *adopt_inode(int fd, const struct stat *st, struct share *share, bool count) {
    pthread_mutex_lock(&table_lock);
    size_t key = bucket_of_key(st->st_dev, st->st_ino, share);
    struct inode *inode = inodes_by_key[key];
    while (inode != NULL && !(inode->dev == st->st_dev && inode->ino == st->st_ino && inode->share == share))
        inode = inode->next_by_key;
    if (inode != NULL) {
        close(fd);
    } else {
        inode = allocate(sizeof *inode);
        inode->id = next_inode_id++;
        inode->dev = st->st_dev;
        inode->ino = st->st_ino;
        inode->type = st->st_mode & S_IFMT;
        inode->fd = fd;
        inode->share = share;
        inode->next_by_key = inodes_by_key[key];
        inodes_by_key[key] = inode;
        size_t bucket = bucket_of(inode->id);
        inode->next_by_id = inodes_by_id[bucket];
        inodes_by_id[bucket] = inode;
    }
    if (count)
        inode->lookups++;
    pthread_mutex_unlock(&table_lock);
    return inode;
}

static uint64_t add_handle(uint64_t node, int fd, DIR *dir) {
    struct handle *handle = allocate(sizeof *handle);
    handle->fd = fd;
    handle->dir = dir;
    handle->node = node;
    pthread_mutex_init(&handle->reading, NULL);
    pthread_mutex_lock(&table_lock);
    handle->id = next_handle_id++;
    handle->next = handles[bucket_of(handle->id)];
    handles[bucket_of(handle->id)] = handle;
    pthread_mutex_unlock(&table_lock);
    return handle->id;
}

static struct handle *hold_handle(uint64_t id, uint64_t node) {
    pthread_mutex_lock(&table_lock);
    struct handle *handle = handles[bucket_of(id)];
    while (handle != NULL && handle->id != id)
        handle = handle->next;
    if (handle != NULL && handle->node == node)
        handle->users++;
    else
        handle = NULL;
    pthread_mutex_unlock(&table_lock);
    return handle;
}

static void drop_handle(struct handle *handle, bool release) {
    if (handle == NULL)
        return;
    pthread_mutex_lock(&table_lock);
    if (release && !handle->released) {
        handle->released = true;
        struct handle **link = &handles[bucket_of(handle->id)];
        while (*link != handle)
            link = &(*link)->next;
        *link = handle->next;
    }
    bool last = --handle->users == 0 && handle->released;
    pthread_mutex_unlock(&table_lock);
    if (!last)
        return;
    if (handle->dir != NULL)
        closedir(handle->dir);
    else
        close(handle->fd);
    pthread_mutex_destroy(&handle->reading);
    free(handle);
}

/* ---- attributes ---- */

/** Inode numbers are only unique on one device, and the guest sees one: the device's index goes into the top
 * bits. */
static uint64_t guest_ino(const struct stat *st) {
    size_t index = 0;
    pthread_mutex_lock(&table_lock);
    while (index < device_count && devices[index] != st->st_dev)
        index++;
    if (index == device_count && device_count < MAX_DEVICES)
        devices[device_count++] = st->st_dev;
    pthread_mutex_unlock(&table_lock);
    return (uint64_t)st->st_ino ^ ((uint64_t)index << 48);
}

static void fill_attr(struct fuse_attr *attr, const struct stat *st) {
    *attr = (struct fuse_attr){
        .ino = guest_ino(st),
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .atime = (uint64_t)st->st_atim.tv_sec,
        .mtime = (uint64_t)st->st_mtim.tv_sec,
        .ctime = (uint64_t)st->st_ctim.tv_sec,
        .atimensec = (uint32_t)st->st_atim.tv_nsec,
        .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .rdev = (uint32_t)((major(st->st_rdev) << 8) | (minor(st->st_rdev) & 0xff) |
                           ((minor(st->st_rdev) & ~0xffu) << 12)),
        .blksize = (uint32_t)st->st_blksize,
    };
}

static void split_seconds(double seconds, uint64_t *whole, uint32_t *nanoseconds) {
    *whole = (uint64_t)seconds;
    *nanoseconds = (uint32_t)((seconds - (double)*whole) * 1e9);
}

static void fill_entry(struct fuse_entry_out *entry, const struct inode *inode, const struct stat *st) {
    *entry = (struct fuse_entry_out){.nodeid = inode->id};
    split_seconds(inode->share->cache_seconds, &entry->entry_valid, &entry->entry_valid_nsec);
    split_seconds(inode->share->cache_seconds, &entry->attr_valid, &entry->attr_valid_nsec);
    fill_attr(&entry->attr, st);
}

static void answer_attr(uint64_t unique, const struct inode *inode, int fd) {
    struct stat st;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
        answer_error(unique, errno);
        return;
    }
    struct fuse_attr_out out = {0};
    split_seconds(inode->share->cache_seconds, &out.attr_valid, &out.attr_valid_nsec);
    fill_attr(&out.attr, &st);
    answer(unique, 0, &out, sizeof out);
}

/** One component that stays in its directory. */
static bool is_plain_name(const char *name) {
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strchr(name, '/') == NULL;
}

/** Looks `name` up below `parent`; 0 or an errno. Counts a lookup. */
static int look_up(struct inode *parent, const char *name, struct fuse_entry_out *entry) {
    if (parent->type != S_IFDIR)
        return ENOTDIR;
    int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    struct stat st;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
        int error = errno;
        close(fd);
        return error;
    }
    fill_entry(entry, adopt_inode(fd, &st, parent->share, true), &st);
    return 0;
}

static void answer_entry(uint64_t unique, struct inode *parent, const char *name) {
    struct fuse_entry_out entry;
    int error = look_up(parent, name, &entry);
    if (error != 0)
        answer_error(unique, error);
    else
        answer(unique, 0, &entry, sizeof entry);
}

/** Opens what an O_PATH descriptor stands for. Never a special file: that would act on the host's devices. */
static int reopen(const struct inode *inode, int flags) {
    if (inode->type != S_IFREG && inode->type != S_IFDIR) {
        errno = inode->type == S_IFLNK ? ELOOP : ENXIO;
        return -1;
    }
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", inode->fd);
    return open(path, (flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL | O_NOCTTY)) | O_CLOEXEC);
}

/** A new file belongs to the process that made it, unless a setgid directory decides on the group. */
static int give_to_caller(int parent_fd, const char *name, const struct fuse_in_header *in, mode_t mode) {
    if (!privileged)
        return 0;
    struct stat parent;
    if (fstat(parent_fd, &parent) < 0)
        return errno;
    gid_t gid = (parent.st_mode & S_ISGID) != 0 ? parent.st_gid : in->gid;
    if (fchownat(parent_fd, name, in->uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return errno;
    // chown drops the set-id bits of a file
    if (!S_ISLNK(mode) && (mode & (S_ISUID | S_ISGID)) != 0 && fchmodat(parent_fd, name, mode & 07777, 0) < 0)
        return errno;
    return 0;
}

/* ---- operations ---- */

struct operation {
    const struct fuse_in_header *in;
    const unsigned char *body;
    size_t length;
    struct inode *inode;
};

/** The next zero-terminated string of the body, or NULL if the guest did not end it. */
static const char *take_string(struct operation *op) {
    const unsigned char *end = memchr(op->body, 0, op->length);
    if (end == NULL)
        return NULL;
    const char *text = (const char *)op->body;
    size_t used = (size_t)(end - op->body) + 1;
    op->body += used;
    op->length -= used;
    return text;
}

static const char *take_name(struct operation *op) {
    const char *name = take_string(op);
    return name != NULL && is_plain_name(name) ? name : NULL;
}

#define TAKE(type, variable)                                                                                 \
    type variable;                                                                                           \
    if (op->length < sizeof variable) {                                                                      \
        answer_error(op->in->unique, EINVAL);                                                                \
        return;                                                                                              \
    }                                                                                                        \
    memcpy(&variable, op->body, sizeof variable);                                                            \
    op->body += sizeof variable;                                                                             \
    op->length -= sizeof variable

static void do_init(struct operation *op) {
    struct fuse_init_in in = {0};
    // Older kernels send a shorter structure.
    memcpy(&in, op->body, op->length < sizeof in ? op->length : sizeof in);
    const uint32_t wanted = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                            FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
                            FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
                            FUSE_CACHE_SYMLINKS;
    struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = MAX_WRITE,
        .flags = in.flags & wanted,
        .max_background = 64,
        .congestion_threshold = 48,
        .max_write = MAX_WRITE,
        .time_gran = 1,
        .max_pages = MAX_WRITE / 4096,
    };
    answer(op->in->unique, 0, &out, sizeof out);
}

static void do_root(struct operation *op) {
    uint64_t unique = op->in->unique;
    switch (op->in->opcode) {
    case FUSE_LOOKUP: {
        const char *name = take_name(op);
        pthread_mutex_lock(&table_lock);
        struct share *share = shares;
        while (name != NULL && share != NULL && strcmp(share->name, name) != 0)
            share = share->next;
        struct inode *root = name != NULL && share != NULL ? share->root : NULL;
        if (root != NULL) {
            root->lookups++;
            root->users++;
        }
        pthread_mutex_unlock(&table_lock);
        struct stat st;
        if (root == NULL) {
            answer_error(unique, ENOENT);
        } else if (fstatat(root->fd, "", &st, AT_EMPTY_PATH) < 0) {
            answer_error(unique, errno);
        } else {
            struct fuse_entry_out entry;
            fill_entry(&entry, root, &st);
            answer(unique, 0, &entry, sizeof entry);
        }
        drop_inode(root);
        return;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr_valid = 1, .attr = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2}};
        answer(unique, 0, &out, sizeof out);
        return;
    }
    case FUSE_STATFS: {
        struct fuse_statfs_out out = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
        answer(unique, 0, &out, sizeof out);
        return;
    }
    default:
        answer_error(unique, EACCES);
    }
}

static void do_setattr(struct operation *op) {
    TAKE(struct fuse_setattr_in, in);
    uint64_t unique = op->in->unique;
    const struct inode *inode = op->inode;
    struct handle *handle = (in.valid & FATTR_FH) != 0 ? hold_handle(in.fh, inode->id) : NULL;
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", inode->fd);
    int error = 0;
    if ((in.valid & FATTR_MODE) != 0 && chmod(path, in.mode & 07777) < 0)
        error = errno;
    if (error == 0 && (in.valid & (FATTR_UID | FATTR_GID)) != 0) {
        uid_t uid = (in.valid & FATTR_UID) != 0 ? in.uid : (uid_t)-1;
        gid_t gid = (in.valid & FATTR_GID) != 0 ? in.gid : (gid_t)-1;
        if (fchownat(inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
            error = errno;
    }
    if (error == 0 && (in.valid & FATTR_SIZE) != 0) {
        if (handle != NULL && handle->dir == NULL) {
            if (ftruncate(handle->fd, (off_t)in.size) < 0)
                error = errno;
        } else {
            int fd = reopen(inode, O_WRONLY);
            if (fd < 0 || ftruncate(fd, (off_t)in.size) < 0)
                error = errno;
            if (fd >= 0)
                close(fd);
        }
    }
    if (error == 0 && (in.valid & (FATTR_ATIME | FATTR_MTIME)) != 0) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
        if ((in.valid & FATTR_ATIME_NOW) != 0)
            times[0].tv_nsec = UTIME_NOW;
        else if ((in.valid & FATTR_ATIME) != 0)
            times[0] = (struct timespec){(time_t)in.atime, (long)in.atimensec};
        if ((in.valid & FATTR_MTIME_NOW) != 0)
            times[1].tv_nsec = UTIME_NOW;
        else if ((in.valid & FATTR_MTIME) != 0)
            times[1] = (struct timespec){(time_t)in.mtime, (long)in.mtimensec};
        if (utimensat(AT_FDCWD, path, times, 0) < 0)
            error = errno;
    }
    drop_handle(handle, false);
    if (error != 0)
        answer_error(unique, error);
    else
        answer_attr(unique, inode, inode->fd);
}

static void do_readlink(struct operation *op) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(op->inode->fd, "", target, sizeof target);
    if (length < 0)
        answer_error(op->in->unique, errno);
    else
        answer(op->in->unique, 0, target, (size_t)length);
}

/** What a made thing's name leads to is answered, or the half-made thing is taken away again. */
static void finish_make(struct operation *op, const char *name, mode_t mode) {
    int error = give_to_caller(op->inode->fd, name, op->in, mode);
    if (error != 0) {
        unlinkat(op->inode->fd, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
        answer_error(op->in->unique, error);
    } else {
        answer_entry(op->in->unique, op->inode, name);
    }
}

static void do_symlink(struct operation *op) {
    const char *name = take_name(op);
    const char *target = name != NULL ? take_string(op) : NULL;
    if (target == NULL)
        answer_error(op->in->unique, EINVAL);
    else if (symlinkat(target, op->inode->fd, name) < 0)
        answer_error(op->in->unique, errno);
    else
        finish_make(op, name, S_IFLNK);
}

static void do_mknod(struct operation *op) {
    TAKE(struct fuse_mknod_in, in);
    const char *name = take_name(op);
    dev_t device = makedev((in.rdev >> 8) & 0xfff, (in.rdev & 0xff) | ((in.rdev >> 12) & 0xfff00));
    if (name == NULL)
        answer_error(op->in->unique, EINVAL);
    else if (mknodat(op->inode->fd, name, in.mode, device) < 0)
        answer_error(op->in->unique, errno);
    else
        finish_make(op, name, in.mode);
}

static void do_mkdir(struct operation *op) {
    TAKE(struct fuse_mkdir_in, in);
    const char *name = take_name(op);
    if (name == NULL)
        answer_error(op->in->unique, EINVAL);
    else if (mkdirat(op->inode->fd, name, in.mode & 07777) < 0)
        answer_error(op->in->unique, errno);
    else
        finish_make(op, name, S_IFDIR | (in.mode & 07777));
}

static void do_remove(struct operation *op, int flags) {
    const char *name = take_name(op);
    if (name == NULL)
        answer_error(op->in->unique, EINVAL);
    else
        answer_error(op->in->unique, unlinkat(op->inode->fd, name, flags) < 0 ? errno : 0);
}

static void do_rename(struct operation *op, uint64_t new_parent, unsigned flags) {
    const char *name = take_name(op);
    const char *new_name = name != NULL ? take_name(op) : NULL;
    struct inode *target = hold_inode(new_parent);
    int error = 0;
    if (new_name == NULL || target == NULL)
        error = EINVAL;
    else if (target->share != op->inode->share)
        error = EXDEV;
    else if (syscall(SYS_renameat2, op->inode->fd, name, target->fd, new_name, flags) < 0)
        error = errno;
    drop_inode(target);
    answer_error(op->in->unique, error);
}

static void do_link(struct operation *op) {
    TAKE(struct fuse_link_in, in);
    const char *name = take_name(op);
    struct inode *source = hold_inode(in.oldnodeid);
    char path[40];
    int error = 0;
    if (name == NULL || source == NULL) {
        error = EINVAL;
    } else if (source->share != op->inode->share) {
        error = EXDEV;
    } else {
        snprintf(path, sizeof path, "/proc/self/fd/%d", source->fd);
        if (linkat(AT_FDCWD, path, op->inode->fd, name, AT_SYMLINK_FOLLOW) < 0)
            error = errno;
    }
    drop_inode(source);
    if (error != 0)
        answer_error(op->in->unique, error);
    else
        answer_entry(op->in->unique, op->inode, name);
}

/** O_APPEND is kept: then writers in several VMs append after each other, whatever offset each one sends. */
static int open_flags(uint32_t flags, bool readonly, int *error) {
    if (readonly && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0))
        *error = EROFS;
    return (int)(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME | O_APPEND));
}

static void do_open(struct operation *op) {
    TAKE(struct fuse_open_in, in);
    int error = 0;
    int flags = open_flags(in.flags, op->inode->share->readonly, &error);
    int fd = -1;
    if (error == 0 && op->inode->type != S_IFREG)
        error = ENXIO;
    if (error == 0 && (fd = reopen(op->inode, flags)) < 0)
        error = errno;
    if (error != 0) {
        answer_error(op->in->unique, error);
        return;
    }
    // With AUTO_INVAL_DATA the guest drops its pages when size or mtime have changed; else they may stay.
    struct fuse_open_out out = {.fh = add_handle(op->inode->id, fd, NULL), .open_flags = FOPEN_KEEP_CACHE};
    answer(op->in->unique, 0, &out, sizeof out);
}

static void do_create(struct operation *op) {
    TAKE(struct fuse_create_in, in);
    const char *name = take_name(op);
    int error = name == NULL ? EINVAL : 0;
    int flags = open_flags(in.flags, op->inode->share->readonly, &error);
    int fd = -1;
    bool made = true;
    if (error == 0) {
        fd = openat(op->inode->fd, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, in.mode & 07777);
        if (fd < 0 && errno == EEXIST && (in.flags & O_EXCL) == 0) {
            made = false; // made on the host since the guest looked; look at it before opening it
            struct fuse_entry_out entry;
            error = look_up(op->inode, name, &entry);
            struct inode *found = error == 0 ? hold_inode(entry.nodeid) : NULL;
            if (found != NULL && (fd = reopen(found, flags)) < 0)
                error = errno;
            drop_inode(found);
            if (error == 0)
                forget(entry.nodeid, 1);
        } else if (fd < 0) {
            error = errno;
        }
    }
    if (error == 0 && made)
        error = give_to_caller(op->inode->fd, name, op->in, S_IFREG | in.mode);
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    if (error == 0)
        error = look_up(op->inode, name, &out.entry);
    if (error != 0) {
        if (fd >= 0)
            close(fd);
        answer_error(op->in->unique, error);
        return;
    }
    out.open.fh = add_handle(out.entry.nodeid, fd, NULL);
    out.open.open_flags = FOPEN_KEEP_CACHE;
    answer(op->in->unique, 0, &out, sizeof out);
}

static void do_read(struct operation *op) {
    TAKE(struct fuse_read_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    size_t size = in.size > MAX_WRITE ? MAX_WRITE : in.size;
    char *data = handle != NULL && handle->dir == NULL ? malloc(size + 1) : NULL;
    ssize_t length = data != NULL ? pread(handle->fd, data, size, (off_t)in.offset) : -1;
    if (length < 0)
        answer_error(op->in->unique, data == NULL ? EBADF : errno);
    else
        answer(op->in->unique, 0, data, (size_t)length);
    free(data);
    drop_handle(handle, false);
}

static void do_write(struct operation *op) {
    TAKE(struct fuse_write_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    ssize_t length = -1;
    int error = EBADF;
    if (in.size > op->length) {
        error = EINVAL;
    } else if (handle != NULL && handle->dir == NULL) {
        length = pwrite(handle->fd, op->body, in.size, (off_t)in.offset);
        error = errno;
    }
    if (length < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_write_out out = {.size = (uint32_t)length};
        answer(op->in->unique, 0, &out, sizeof out);
    }
    drop_handle(handle, false);
}

static void do_statfs(struct operation *op) {
    struct statvfs st;
    if (fstatvfs(op->inode->fd, &st) < 0) {
        answer_error(op->in->unique, errno);
        return;
    }
    struct fuse_statfs_out out = {.st = {.blocks = st.f_blocks,
                                         .bfree = st.f_bfree,
                                         .bavail = st.f_bavail,
                                         .files = st.f_files,
                                         .ffree = st.f_ffree,
                                         .bsize = (uint32_t)st.f_bsize,
                                         .namelen = (uint32_t)st.f_namemax,
                                         .frsize = (uint32_t)st.f_frsize}};
    answer(op->in->unique, 0, &out, sizeof out);
}

static void do_release(struct operation *op) {
    TAKE(struct fuse_release_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    drop_handle(handle, true);
    answer_error(op->in->unique, 0);
}

static void do_fsync(struct operation *op) {
    TAKE(struct fuse_fsync_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    int error = EBADF;
    if (handle != NULL) {
        int fd = handle->dir != NULL ? dirfd(handle->dir) : handle->fd;
        bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
        error = (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? errno : 0;
    }
    drop_handle(handle, false);
    answer_error(op->in->unique, error);
}

static void do_opendir(struct operation *op) {
    int fd = op->inode->type == S_IFDIR ? reopen(op->inode, O_RDONLY | O_DIRECTORY) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        answer_error(op->in->unique, op->inode->type == S_IFDIR ? errno : ENOTDIR);
        if (fd >= 0)
            close(fd);
        return;
    }
    struct fuse_open_out out = {.fh = add_handle(op->inode->id, fd, dir)};
    answer(op->in->unique, 0, &out, sizeof out);
}

static void do_readdir(struct operation *op, bool plus) {
    TAKE(struct fuse_read_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    if (handle == NULL || handle->dir == NULL) {
        drop_handle(handle, false);
        answer_error(op->in->unique, EBADF);
        return;
    }
    size_t limit = in.size > MAX_WRITE ? MAX_WRITE : in.size;
    char *data = allocate(limit + 1);
    size_t used = 0;
    int error = 0;
    pthread_mutex_lock(&handle->reading);
    if (telldir(handle->dir) != (long)in.offset)
        seekdir(handle->dir, (long)in.offset);
    for (;;) {
        errno = 0;
        const struct dirent *item = readdir(handle->dir);
        if (item == NULL) {
            error = errno;
            break;
        }
        size_t name_length = strlen(item->d_name);
        size_t head = plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);
        size_t size = FUSE_DIRENT_ALIGN((head - sizeof(struct fuse_dirent)) + FUSE_NAME_OFFSET + name_length);
        if (used + size > limit)
            break;
        struct fuse_dirent dirent = {.ino = item->d_ino,
                                     .off = (uint64_t)item->d_off,
                                     .namelen = (uint32_t)name_length,
                                     .type = item->d_type};
        char *at = data + used;
        if (plus) {
            struct fuse_entry_out entry = {0};
            // "." and ".." carry no lookup; a name that is gone already is listed without one, too
            if (!is_plain_name(item->d_name) || look_up(op->inode, item->d_name, &entry) != 0)
                memset(&entry, 0, sizeof entry);
            else
                dirent.ino = entry.attr.ino;
            memcpy(at, &entry, sizeof entry);
            at += sizeof entry;
        }
        memcpy(at, &dirent, FUSE_NAME_OFFSET);
        memcpy(at + FUSE_NAME_OFFSET, item->d_name, name_length);
        used += size;
    }
    pthread_mutex_unlock(&handle->reading);
    if (error != 0 && used == 0)
        answer_error(op->in->unique, error);
    else
        answer(op->in->unique, 0, data, used);
    free(data);
    drop_handle(handle, false);
}

/** Attributes a guest may keep on the host's files; trusted.* and the host's own labels stay out of its
 * reach. */
static bool is_shared_xattr(const char *name) {
    return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 ||
           strncmp(name, "system.posix_acl_", 17) == 0;
}

static void do_setxattr(struct operation *op) {
    // Without FUSE_SETXATTR_EXT only the first two members are sent.
    struct {
        uint32_t size, flags;
    } in;
    if (op->length < sizeof in) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    memcpy(&in, op->body, sizeof in);
    op->body += sizeof in;
    op->length -= sizeof in;
    const char *name = take_string(op);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", op->inode->fd);
    if (name == NULL || in.size > op->length)
        answer_error(op->in->unique, EINVAL);
    else if (!is_shared_xattr(name))
        answer_error(op->in->unique, EOPNOTSUPP);
    else
        answer_error(op->in->unique, setxattr(path, name, op->body, in.size, (int)in.flags) < 0 ? errno : 0);
}

static void answer_xattr(struct operation *op, uint32_t wanted, ssize_t length, const char *data) {
    if (length < 0) {
        answer_error(op->in->unique, errno);
    } else if (wanted == 0) {
        struct fuse_getxattr_out out = {.size = (uint32_t)length};
        answer(op->in->unique, 0, &out, sizeof out);
    } else {
        answer(op->in->unique, 0, data, (size_t)length);
    }
}

static void do_getxattr(struct operation *op) {
    TAKE(struct fuse_getxattr_in, in);
    const char *name = take_string(op);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", op->inode->fd);
    if (name == NULL || in.size > XATTR_SIZE_MAX) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    if (!is_shared_xattr(name)) {
        answer_error(op->in->unique, ENODATA);
        return;
    }
    char *data = allocate((size_t)in.size + 1);
    answer_xattr(op, in.size, getxattr(path, name, data, in.size), data);
    free(data);
}

static void do_listxattr(struct operation *op) {
    TAKE(struct fuse_getxattr_in, in);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", op->inode->fd);
    char *all = allocate(XATTR_LIST_MAX);
    ssize_t length = listxattr(path, all, XATTR_LIST_MAX);
    size_t kept = 0;
    for (ssize_t at = 0; at < length;) {
        size_t size = strlen(all + at) + 1;
        if (is_shared_xattr(all + at)) {
            memmove(all + kept, all + at, size);
            kept += size;
        }
        at += (ssize_t)size;
    }
    if (length >= 0 && in.size != 0 && kept > in.size)
        answer_error(op->in->unique, ERANGE);
    else
        answer_xattr(op, in.size, length < 0 ? -1 : (ssize_t)kept, all);
    free(all);
}

static void do_removexattr(struct operation *op) {
    const char *name = take_string(op);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", op->inode->fd);
    if (name == NULL || !is_shared_xattr(name))
        answer_error(op->in->unique, name == NULL ? EINVAL : ENODATA);
    else
        answer_error(op->in->unique, removexattr(path, name) < 0 ? errno : 0);
}

static void do_fallocate(struct operation *op) {
    TAKE(struct fuse_fallocate_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    int error = EBADF;
    if (handle != NULL && handle->dir == NULL)
        error = fallocate(handle->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length) < 0 ? errno : 0;
    drop_handle(handle, false);
    answer_error(op->in->unique, error);
}

static void do_lseek(struct operation *op) {
    TAKE(struct fuse_lseek_in, in);
    struct handle *handle = hold_handle(in.fh, op->inode->id);
    off_t at = -1;
    int error = EBADF;
    if (handle != NULL && handle->dir == NULL) {
        bool sparse = in.whence == SEEK_DATA || in.whence == SEEK_HOLE;
        at = sparse ? lseek(handle->fd, (off_t)in.offset, (int)in.whence) : -1;
        error = sparse ? errno : EINVAL;
    }
    drop_handle(handle, false);
    if (at < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_lseek_out out = {.offset = (uint64_t)at};
        answer(op->in->unique, 0, &out, sizeof out);
    }
}

static void do_copy_file_range(struct operation *op) {
    TAKE(struct fuse_copy_file_range_in, in);
    struct handle *from = hold_handle(in.fh_in, op->inode->id);
    struct handle *to = hold_handle(in.fh_out, in.nodeid_out);
    ssize_t length = -1;
    int error = EBADF;
    if (from != NULL && to != NULL && from->dir == NULL && to->dir == NULL) {
        off_t off_in = (off_t)in.off_in, off_out = (off_t)in.off_out;
        size_t size = in.len > (1u << 30) ? 1u << 30 : (size_t)in.len;
        length = copy_file_range(from->fd, &off_in, to->fd, &off_out, size, 0);
        error = errno;
    }
    drop_handle(from, false);
    drop_handle(to, false);
    if (length < 0) {
        answer_error(op->in->unique, error);
    } else {
        struct fuse_write_out out = {.size = (uint32_t)length};
        answer(op->in->unique, 0, &out, sizeof out);
    }
}

static void do_syncfs(struct operation *op) {
    int fd = reopen(op->inode, O_RDONLY);
    answer_error(op->in->unique, fd < 0 || syncfs(fd) < 0 ? errno : 0);
    if (fd >= 0)
        close(fd);
}

/* ---- locks: open-file-description locks on the host, so that VMs sharing a volume exclude each other ----
 */

/** The descriptor that carries one POSIX lock owner's locks on an inode. -1 with errno set. */
static int lock_fd(struct inode *inode, uint64_t owner, bool make) {
    pthread_mutex_lock(&table_lock);
    struct lock_owner *lock = inode->locks;
    while (lock != NULL && lock->owner != owner)
        lock = lock->next;
    int fd = lock != NULL ? lock->fd : -1;
    pthread_mutex_unlock(&table_lock);
    if (fd >= 0 || !make) {
        errno = EBADF;
        return fd;
    }
    fd = reopen(inode, inode->share->readonly ? O_RDONLY : O_RDWR);
    if (fd < 0)
        return -1;
    lock = allocate(sizeof *lock);
    *lock = (struct lock_owner){.owner = owner, .fd = fd};
    pthread_mutex_lock(&table_lock);
    lock->next = inode->locks;
    inode->locks = lock;
    pthread_mutex_unlock(&table_lock);
    return fd;
}

static void drop_locks(struct inode *inode, uint64_t owner) {
    pthread_mutex_lock(&table_lock);
    for (struct lock_owner **link = &inode->locks; *link != NULL; link = &(*link)->next) {
        if ((*link)->owner == owner) {
            struct lock_owner *lock = *link;
            *link = lock->next;
            close(lock->fd);
            free(lock);
            break;
        }
    }
    pthread_mutex_unlock(&table_lock);
}

static struct flock to_flock(const struct fuse_file_lock *lock) {
    struct flock out = {.l_type = (short)lock->type, .l_whence = SEEK_SET, .l_start = (off_t)lock->start};
    out.l_len = lock->end >= (uint64_t)INT64_MAX ? 0 : (off_t)(lock->end - lock->start + 1);
    return out;
}

static void do_getlk(struct operation *op) {
    TAKE(struct fuse_lk_in, in);
    struct flock lock = to_flock(&in.lk);
    int fd = lock_fd(op->inode, in.owner, true);
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0) {
        answer_error(op->in->unique, errno);
        return;
    }
    struct fuse_lk_out out = {.lk = {.type = (uint32_t)lock.l_type, .pid = 0}};
    if (lock.l_type != F_UNLCK) {
        out.lk.start = (uint64_t)lock.l_start;
        out.lk.end = lock.l_len == 0 ? (uint64_t)INT64_MAX : (uint64_t)(lock.l_start + lock.l_len - 1);
    }
    answer(op->in->unique, 0, &out, sizeof out);
}

static int set_lock(struct operation *op, const struct fuse_lk_in *in, bool wait) {
    if ((in->lk_flags & FUSE_LK_FLOCK) != 0) {
        struct handle *handle = hold_handle(in->fh, op->inode->id);
        int how = in->lk.type == F_RDLCK ? LOCK_SH : in->lk.type == F_WRLCK ? LOCK_EX : LOCK_UN;
        int error = EBADF;
        if (handle != NULL && handle->dir == NULL)
            error = flock(handle->fd, how | (wait ? 0 : LOCK_NB)) < 0 ? errno : 0;
        drop_handle(handle, false);
        return error;
    }
    struct flock lock = to_flock(&in->lk);
    int fd = lock_fd(op->inode, in->owner, lock.l_type != F_UNLCK);
    if (fd < 0)
        return lock.l_type == F_UNLCK ? 0 : errno;
    return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) < 0 ? errno : 0;
}

static void do_setlk(struct operation *op, bool wait) {
    TAKE(struct fuse_lk_in, in);
    answer_error(op->in->unique, set_lock(op, &in, wait));
}

static void do_flush(struct operation *op) {
    TAKE(struct fuse_flush_in, in);
    // close(2) gives up the process's POSIX locks on the file
    drop_locks(op->inode, in.lock_owner);
    answer_error(op->in->unique, 0);
}

/**
 * INTERRUPT is for lock waits only: everything else ends by itself soon. The signal may come just before the
 * thread blocks, so it is repeated until the wait is over.
 */
static void interrupt_waiting(uint64_t unique) {
    for (int tries = 0; tries < 200; tries++) {
        pthread_mutex_lock(&waiting_lock);
        struct waiting *item = waiting_list;
        while (item != NULL && item->unique != unique)
            item = item->next;
        if (item != NULL && item->started)
            pthread_kill(item->thread, SIGUSR1);
        pthread_mutex_unlock(&waiting_lock);
        if (item == NULL)
            return;
        usleep(1000);
    }
}

/* ---- dispatch ---- */

static bool changes_something(uint32_t opcode) {
    switch (opcode) {
    case FUSE_SETATTR:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_WRITE:
    case FUSE_SETXATTR:
    case FUSE_REMOVEXATTR:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
        return true;
    default:
        return false;
    }
}

/** Operations whose node is the directory in which a name is made, removed or looked up. */
static bool wants_directory(uint32_t opcode) {
    switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_LINK:
    case FUSE_CREATE:
        return true;
    default:
        return false;
    }
}

static void carry_out(struct operation *op) {
    uint64_t unique = op->in->unique;
    if (changes_something(op->in->opcode) && op->inode->share->readonly) {
        answer_error(unique, EROFS);
        return;
    }
    if (wants_directory(op->in->opcode) && op->inode->type != S_IFDIR) {
        answer_error(unique, ENOTDIR);
        return;
    }
    switch (op->in->opcode) {
    case FUSE_LOOKUP: {
        const char *name = take_name(op);
        if (name == NULL)
            answer_error(unique, ENOENT);
        else
            answer_entry(unique, op->inode, name);
        return;
    }
    case FUSE_GETATTR:
        answer_attr(unique, op->inode, op->inode->fd);
        return;
    case FUSE_SETATTR:
        do_setattr(op);
        return;
    case FUSE_READLINK:
        do_readlink(op);
        return;
    case FUSE_SYMLINK:
        do_symlink(op);
        return;
    case FUSE_MKNOD:
        do_mknod(op);
        return;
    case FUSE_MKDIR:
        do_mkdir(op);
        return;
    case FUSE_UNLINK:
        do_remove(op, 0);
        return;
    case FUSE_RMDIR:
        do_remove(op, AT_REMOVEDIR);
        return;
    case FUSE_RENAME: {
        TAKE(struct fuse_rename_in, in);
        do_rename(op, in.newdir, 0);
        return;
    }
    case FUSE_RENAME2: {
        TAKE(struct fuse_rename2_in, in);
        do_rename(op, in.newdir, in.flags);
        return;
    }
    case FUSE_LINK:
        do_link(op);
        return;
    case FUSE_OPEN:
        do_open(op);
        return;
    case FUSE_CREATE:
        do_create(op);
        return;
    case FUSE_READ:
        do_read(op);
        return;
    case FUSE_WRITE:
        do_write(op);
        return;
    case FUSE_STATFS:
        do_statfs(op);
        return;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        do_release(op);
        return;
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
        do_fsync(op);
        return;
    case FUSE_FLUSH:
        do_flush(op);
        return;
    case FUSE_OPENDIR:
        do_opendir(op);
        return;
    case FUSE_READDIR:
        do_readdir(op, false);
        return;
    case FUSE_READDIRPLUS:
        do_readdir(op, true);
        return;
    case FUSE_SETXATTR:
        do_setxattr(op);
        return;
    case FUSE_GETXATTR:
        do_getxattr(op);
        return;
    case FUSE_LISTXATTR:
        do_listxattr(op);
        return;
    case FUSE_REMOVEXATTR:
        do_removexattr(op);
        return;
    case FUSE_FALLOCATE:
        do_fallocate(op);
        return;
    case FUSE_LSEEK:
        do_lseek(op);
        return;
    case FUSE_COPY_FILE_RANGE:
        do_copy_file_range(op);
        return;
    case FUSE_GETLK:
        do_getlk(op);
        return;
    case FUSE_SETLK:
        do_setlk(op, false);
        return;
    case FUSE_SETLKW:
        do_setlk(op, true);
        return;
    case FUSE_SYNCFS:
        do_syncfs(op);
        return;
    default:
        answer_error(unique, ENOSYS);
    }
}

static void handle_request(struct request *request) {
    const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request->bytes;
    struct operation op = {
        .in = in, .body = request->bytes + sizeof *in, .length = request->length - sizeof *in, .inode = NULL};
    if (in->opcode == FUSE_INIT) {
        do_init(&op);
    } else if (in->nodeid == FUSE_ROOT_ID) {
        do_root(&op);
    } else {
        op.inode = hold_inode(in->nodeid);
        if (op.inode == NULL)
            answer_error(in->unique, ESTALE);
        else
            carry_out(&op);
        drop_inode(op.inode);
    }
    free(request);
}

/** A lock that may be waited for has a thread of its own, so that it holds up nobody else. */
static void *wait_for_lock(void *argument) {
    struct waiting *item = argument;
    pthread_mutex_lock(&waiting_lock);
    item->thread = pthread_self();
    item->started = true;
    pthread_mutex_unlock(&waiting_lock);
    handle_request(item->request);
    pthread_mutex_lock(&waiting_lock);
    struct waiting **link = &waiting_list;
    while (*link != item)
        link = &(*link)->next;
    *link = item->next;
    pthread_mutex_unlock(&waiting_lock);
    free(item);
    return NULL;
}

static void start_waiting(struct request *request) {
    struct waiting *item = allocate(sizeof *item);
    item->request = request;
    item->unique = ((const struct fuse_in_header *)(const void *)request->bytes)->unique;
    pthread_mutex_lock(&waiting_lock);
    item->next = waiting_list;
    waiting_list = item;
    pthread_mutex_unlock(&waiting_lock);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    if (pthread_create(&thread, &attributes, wait_for_lock, item) != 0) {
        pthread_mutex_lock(&waiting_lock);
        waiting_list = item->next; // nobody else adds to the list
        pthread_mutex_unlock(&waiting_lock);
        answer_error(item->unique, ENOLCK);
        free(request);
        free(item);
    }
    pthread_attr_destroy(&attributes);
}

static void *work(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&queue_lock);
        while (queue_head == NULL)
            pthread_cond_wait(&queue_filled, &queue_lock);
        struct request *request = queue_head;
        queue_head = request->next;
        if (queue_head == NULL)
            queue_tail = NULL;
        queued_bytes -= request->length;
        pthread_cond_signal(&queue_drained);
        pthread_mutex_unlock(&queue_lock);
        handle_request(request);
    }
    return NULL;
}

static bool read_fully(int fd, void *buffer, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, (char *)buffer + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static void enqueue(struct request *request) {
    const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request->bytes;
    const void *body = request->bytes + sizeof *in;
    size_t length = request->length - sizeof *in;
    // Forgets and interrupts have no answer and are cheap: at once, and in order.
    if (in->opcode == FUSE_FORGET && length >= sizeof(struct fuse_forget_in)) {
        forget(in->nodeid, ((const struct fuse_forget_in *)body)->nlookup);
    } else if (in->opcode == FUSE_BATCH_FORGET && length >= sizeof(struct fuse_batch_forget_in)) {
        const struct fuse_batch_forget_in *batch = body;
        const struct fuse_forget_one *one = (const struct fuse_forget_one *)(batch + 1);
        size_t there = (length - sizeof *batch) / sizeof *one;
        for (size_t i = 0; i < batch->count && i < there; i++)
            forget(one[i].nodeid, one[i].nlookup);
    } else if (in->opcode == FUSE_INTERRUPT && length >= sizeof(struct fuse_interrupt_in)) {
        interrupt_waiting(((const struct fuse_interrupt_in *)body)->unique);
    } else if (in->opcode == FUSE_SETLKW) {
        start_waiting(request);
        return;
    } else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET && in->opcode != FUSE_INTERRUPT) {
        pthread_mutex_lock(&queue_lock);
        while (queued_bytes > MAX_QUEUED_BYTES)
            pthread_cond_wait(&queue_drained, &queue_lock);
        request->next = NULL;
        if (queue_tail != NULL)
            queue_tail->next = request;
        else
            queue_head = request;
        queue_tail = request;
        queued_bytes += request->length;
        pthread_cond_signal(&queue_filled);
        pthread_mutex_unlock(&queue_lock);
        return;
    }
    free(request);
}

static void serve_guest(void) {
    for (;;) {
        struct fuse_in_header header;
        if (!read_fully(fuse_socket, &header, sizeof header))
            exit(0);
        if (header.len < sizeof header || header.len > MAX_REQUEST) {
            complain("fs-server: a request of %u bytes from the guest", header.len);
            exit(1);
        }
        struct request *request = malloc(sizeof *request + header.len);
        if (request == NULL)
            exit(1);
        request->length = header.len;
        memcpy(request->bytes, &header, sizeof header);
        if (!read_fully(fuse_socket, request->bytes + sizeof header, header.len - sizeof header))
            exit(0);
        enqueue(request);
    }
}

/* ---- control: one command a line, one answer a line ---- */

static int add_share(const char *name, const char *mode, double cache_seconds, const char *path) {
    if (!is_plain_name(name) || strlen(name) >= sizeof((struct share *)0)->name)
        return EINVAL;
    pthread_mutex_lock(&table_lock);
    bool taken = false;
    for (struct share *share = shares; share != NULL; share = share->next)
        taken = taken || strcmp(share->name, name) == 0;
    pthread_mutex_unlock(&table_lock);
    if (taken)
        return 0; // a daemon that was restarted asks again
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return errno;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
        return errno;
    struct share *share = allocate(sizeof *share);
    snprintf(share->name, sizeof share->name, "%s", name);
    share->readonly = strcmp(mode, "ro") == 0;
    share->cache_seconds = cache_seconds;
    share->root = adopt_inode(fd, &st, share, true);
    pthread_mutex_lock(&table_lock);
    share->next = shares;
    shares = share;
    pthread_mutex_unlock(&table_lock);
    return 0;
}

/** Forgets the name; inodes in use stay until the guest forgets them. */
static int remove_share(const char *name) {
    pthread_mutex_lock(&table_lock);
    struct share **link = &shares;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    struct share *share = *link;
    if (share != NULL)
        *link = share->next;
    pthread_mutex_unlock(&table_lock);
    return share != NULL ? 0 : ENOENT;
}

/** `add NAME ro|rw CACHE_MILLISECONDS PATH` or `remove NAME`; the path is the rest of the line, %XX-encoded.
 */
static int obey(char *line) {
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    const char *name = rest != NULL ? strsep(&rest, " ") : NULL;
    if (name == NULL)
        return EINVAL;
    if (strcmp(verb, "remove") == 0)
        return remove_share(name);
    const char *mode = rest != NULL ? strsep(&rest, " ") : NULL;
    const char *cache = rest != NULL ? strsep(&rest, " ") : NULL;
    if (strcmp(verb, "add") != 0 || mode == NULL || cache == NULL || rest == NULL)
        return EINVAL;
    char *to = rest;
    for (const char *from = rest; *from != '\0'; from++) {
        unsigned value;
        if (*from == '%' && sscanf(from + 1, "%2x", &value) == 1) {
            *to++ = (char)value;
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return add_share(name, mode, strtod(cache, NULL) / 1000.0, rest);
}

static void *serve_control(void *argument) {
    int listener = *(int *)argument;
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        FILE *input = fdopen(client, "r");
        char *line = NULL;
        size_t size = 0;
        while (input != NULL && getline(&line, &size, input) > 0) {
            line[strcspn(line, "\n")] = '\0';
            int error = obey(line);
            dprintf(client, "%s\n", error == 0 ? "ok" : strerrorname_np(error));
        }
        free(line);
        if (input != NULL)
            fclose(input);
        else
            close(client);
    }
    return NULL;
}

static int unix_socket(const char *path, bool listening) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (listening)
        unlink(path);
    int result = listening ? bind(fd, (struct sockaddr *)&address, sizeof address)
                           : connect(fd, (struct sockaddr *)&address, sizeof address);
    if (result == 0 && listening)
        result = listen(fd, 16);
    if (result < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void wake_up(int signal_number) {
    (void)signal_number; // only to make a blocking lock return EINTR
}

int main(int argc, char **argv) {
    if (argc != 3) {
        complain("usage: fs-server FUSE_SOCKET CONTROL_SOCKET");
        return 2;
    }
    setsid();
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = wake_up}, NULL);
    umask(0);
    privileged = geteuid() == 0;
    // Every file the guest remembers is a descriptor here.
    struct rlimit files = {1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    static int control;
    if ((fuse_socket = unix_socket(argv[1], false)) < 0 || (control = unix_socket(argv[2], true)) < 0) {
        complain("fs-server: %s: %s", fuse_socket < 0 ? argv[1] : argv[2], strerror(errno));
        return 1;
    }
    pthread_t thread;
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
    if (pthread_create(&thread, NULL, serve_control, &control) != 0)
        return 1;
    printf("ready\n");
    fflush(stdout);
    serve_guest();
}
