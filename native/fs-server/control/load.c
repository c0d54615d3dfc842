#include "control/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fingerprint.h"
#include "base/memory.h"
#include "base/state-file.h"
#include "host/shares.h"
#include "include/cleanup.h"
#include "table/devices.h"
#include "table/handles.h"
#include "table/inodes.h"
#include "table/locks.h"
#include "wire/transport.h"

/* A share as it was. */
struct saved_share {
    struct saved_share *next;
    char name[sizeof((struct share *)0)->name];
    struct share *share;
    struct fingerprint before, now;
    /* It is what it was, and so can its files be told from others. */
    bool same;
};

struct loading {
    struct state_reader reader;
    char *reason;
    struct saved_share *shares;
    uint64_t next_inode, next_handle;
};

static uint64_t take_node(struct loading *loading)
{
    uint64_t node = take_number(&loading->reader);
    if (node <= 1 || node >= loading->next_inode)
        loading->reader.failed = true;
    return node;
}

/* Roots have the first numbers of this server, which may be those of other files: all get one that nobody has. */
static int free_root_numbers(struct loading *loading)
{
    size_t count;
    auto_free struct inode **roots = list_inodes(&count);
    uint64_t next = next_inode_number(loading->next_inode);
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        if (!is_root(roots[i]) || !renumber_inode(roots[i], next + i, 1))
            error = EBUSY;
    next_inode_number(next + count);
    return error;
}

static int load_shares(struct loading *loading)
{
    struct state_reader *reader = &loading->reader;
    for (uint64_t count = take_number(reader); count > 0 && !reader->failed; count--) {
        struct saved_share *saved = allocate(sizeof *saved);
        saved->next = loading->shares;
        loading->shares = saved;
        take_text(reader, saved->name, sizeof(saved->name));
        uint64_t id = take_node(loading), lookups = take_number(reader);
        mode_t type = (mode_t)take_number_up_to(reader, S_IFMT);
        saved->before = read_fingerprint(reader);
        /* One that is not there is that of a container which was in the VM before. */
        if (reader->failed || (saved->share = share_named(saved->name)) == NULL)
            continue;
        struct inode *root = saved->share->root;
        int error = take_fingerprint(root->fd, &saved->now);
        if (error != 0)
            return error;
        saved->same = same_file(&saved->before, &saved->now);
        if (root->type != type) {
            explain(loading->reason, "%s was %s", saved->share->host_path, type == S_IFDIR ? "a directory" : "a file");
            return EBUSY;
        }
        if (!renumber_inode(root, id, lookups))
            return EBADMSG;
    }
    return 0;
}

static const struct saved_share *take_share(struct loading *loading)
{
    char name[sizeof((struct share *)0)->name];
    take_text(&loading->reader, name, sizeof(name));
    const struct saved_share *share = loading->shares;
    while (share != NULL && strcmp(share->name, name) != 0)
        share = share->next;
    return share;
}

/* Whether what is at the path is what was there. */
static bool is_same(const struct saved_share *share, const struct fingerprint *before, const struct fingerprint *now)
{
    if (!share->same)
        return true;
    bool was_inside = before->dev == share->before.dev, is_inside = now->dev == share->now.dev;
    return same_file(before, now) && was_inside == is_inside;
}

static int load_inode(struct loading *loading)
{
    struct state_reader *reader = &loading->reader;
    uint64_t id = take_node(loading), lookups = take_number(reader);
    mode_t type = (mode_t)take_number_up_to(reader, S_IFMT);
    const struct saved_share *share = take_share(loading);
    char path[PATH_MAX];
    take_text(reader, path, sizeof(path));
    struct fingerprint before = read_fingerprint(reader), now;
    if (reader->failed || path[0] == '\0' || share == NULL)
        return EBADMSG;
    if (share->share == NULL)
        return 0;
    auto_fd fd = open_below(share->share, path);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? errno : 0;
    struct stat st;
    if (fstat(fd, &st) < 0 || take_fingerprint(fd, &now) != 0 || (st.st_mode & S_IFMT) != type ||
        !is_same(share, &before, &now))
        return 0;
    return restore_inode(id, lookups, take_fd(&fd), &st, share->share) != NULL ? 0 : EBADMSG;
}

/* Of a list whose members stand behind a 1 each. */
static int load_each(struct loading *loading, int (*load)(struct loading *))
{
    int error = 0;
    while (error == 0 && take_number_up_to(&loading->reader, 1) == 1)
        error = load(loading);
    return error;
}

static int load_inodes(struct loading *loading)
{
    return load_each(loading, load_inode);
}

/* Says of a file what could not be done again. Returns the error. */
static int complain_of(struct loading *loading, const struct inode *inode, const char *what, int error)
{
    char path[HOST_PATH_MAX];
    host_path(inode, path);
    explain(loading->reason, "%s %s: %s", what, path, strerror(error));
    return error;
}

static int reopen_handle(struct loading *loading, struct inode *inode, uint64_t id, bool directory, int flags,
                         int flock_type)
{
    if (inode->type != (directory ? S_IFDIR : S_IFREG))
        return EBADMSG;
    if (inode->share->readonly)
        flags &= ~O_ACCMODE; /* it may be mounted so; what writes is refused before it comes to that */
    auto_fd fd = reopen(inode, flags | (directory ? O_DIRECTORY : 0));
    if (fd < 0)
        return complain_of(loading, inode, "open", errno);
    if (flock_type != F_UNLCK && flock(fd, (flock_type == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
        return complain_of(loading, inode, "take the lock again that it had on", errno);
    DIR *dir = directory ? fdopendir(fd) : NULL;
    if (directory && dir == NULL)
        return errno;
    return restore_handle(id, inode->id, take_fd(&fd), dir) ? 0 : EBADMSG;
}

static int load_handle(struct loading *loading)
{
    struct state_reader *reader = &loading->reader;
    uint64_t id = take_number(reader), node = take_node(loading);
    bool directory = take_number_up_to(reader, KIND_DIRECTORY) == KIND_DIRECTORY;
    int flags = (int)take_number_up_to(reader, INT_MAX);
    int flock_type = (int)take_number_up_to(reader, F_UNLCK);
    if (reader->failed || id == 0 || id >= loading->next_handle || (flags & ~HANDLE_FLAGS) != 0 ||
        (flags & O_ACCMODE) == O_ACCMODE)
        return EBADMSG;
    struct inode *inode = hold_inode(node);
    /* One of a file that is not found answers as the file does. */
    int error = inode == NULL ? 0 : reopen_handle(loading, inode, id, directory, flags, flock_type);
    drop_inode(inode);
    return error;
}

static int load_handles(struct loading *loading)
{
    return load_each(loading, load_handle);
}

static int load_lock(struct loading *loading)
{
    struct state_reader *reader = &loading->reader;
    uint64_t node = take_node(loading), owner = take_number(reader), handle = take_number(reader);
    struct flock lock = { .l_type = (short)take_number_up_to(reader, F_WRLCK), .l_whence = SEEK_SET };
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

static int load_locks(struct loading *loading)
{
    return load_each(loading, load_lock);
}

/* Numbers of files and handles, and of devices. */
static int load_numbers(struct loading *loading)
{
    struct state_reader *reader = &loading->reader;
    if (take_number(reader) != MAGIC)
        return EBADMSG;
    loading->next_inode = take_number_up_to(reader, INT64_MAX);
    loading->next_handle = take_number_up_to(reader, INT64_MAX);
    uint64_t devices[MAX_DEVICES];
    size_t length;
    const unsigned char *bytes = take_field(reader, sizeof(devices), &length);
    if (reader->failed || length % sizeof(devices[0]) != 0)
        return EBADMSG;
    if (length > 0)
        memcpy(devices, bytes, length);
    restore_devices(devices, length / sizeof(devices[0]));
    next_handle_number(loading->next_handle);
    return free_root_numbers(loading);
}

static int load_requests(struct loading *loading)
{
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

int load_state(int fd, char reason[MAX_REASON])
{
    reason[0] = '\0';
    struct loading loading = { .reason = reason };
    int (*const parts[])(struct loading *) = { load_numbers, load_shares, load_inodes,
                                               load_handles, load_locks,  load_requests };
    int error = read_state(fd, &loading.reader);
    for (size_t i = 0; error == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
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
