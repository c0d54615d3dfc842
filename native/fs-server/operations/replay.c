#include "operations/replay.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "host/change-queue.h"
#include "operations/attributes.h"
#include "operations/names.h"

/* Numbers of files that are no more, or that the guest needn't know: nothing is kept of them. */
static const uint64_t phantom_bit = UINT64_C(1) << 62;
static const uint64_t elsewhere_node = UINT64_C(3) << 62;

static _Atomic uint64_t phantoms;

void do_next_change(struct operation *op)
{
    TAKE(struct fuse_getxattr_in, in);
    const char *name = take_string(op);
    if (name == NULL || strcmp(name, SHARE_CHANGE_ATTRIBUTE) != 0)
        answer_error(op->in->unique, ENODATA);
    else if (in.size < sizeof(struct share_change))
        answer_error(op->in->unique, ERANGE);
    else
        await_change(op->in->pid, op->in->unique);
}

static struct fuse_attr phantom_attr(uint64_t node, uint32_t type)
{
    return (struct fuse_attr){ .ino = node & 0xffffffff, .mode = type | 0700, .nlink = S_ISDIR(type) ? 2 : 1 };
}

static void answer_phantom(uint64_t unique, uint64_t node, uint32_t type)
{
    struct fuse_entry_out entry = { .nodeid = node, .attr = phantom_attr(node, type) };
    answer(unique, 0, &entry, sizeof(entry));
}

static void answer_new_phantom(uint64_t unique, uint32_t type)
{
    answer_phantom(unique, phantom_bit | ++phantoms, type);
}

/* As a LOOKUP of what is there, if it is of this type (0: any); true if it could be answered. */
static bool answer_real(uint64_t unique, uint64_t parent, const char *name, uint32_t type)
{
    struct inode *directory = hold_inode(parent);
    struct fuse_entry_out entry;
    bool found = directory != NULL && look_up(directory, name, NULL, &entry) == 0;
    if (found && type != 0 && (entry.attr.mode & S_IFMT) != type) {
        forget(entry.nodeid, 1);
        found = false;
    }
    drop_inode(directory);
    if (found)
        answer(unique, 0, &entry, sizeof(entry));
    return found;
}

/* As a LOOKUP of a watched file that may have no name any more; true if it could be answered. */
static bool answer_known(uint64_t unique, uint64_t node)
{
    struct inode *inode = node != 0 ? hold_inode(node) : NULL;
    struct stat st;
    bool found = inode != NULL && fstatat(inode->fd, "", &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0;
    if (found) {
        struct fuse_entry_out entry;
        count_lookup(inode);
        fill_entry(&entry, inode, &st);
        entry.entry_valid = 0;
        entry.entry_valid_nsec = 0;
        entry.attr.nlink =
            st.st_nlink > 0 ? entry.attr.nlink : 1; /* of its end SHARE_GONE tells, or the removal of its name */
        answer(unique, 0, &entry, sizeof(entry));
    }
    drop_inode(inode);
    return found;
}

static bool is_at(uint64_t node, const char *name, uint64_t change_node, const char *change_name)
{
    return node == (change_node == 0 ? elsewhere_node : change_node) && strcmp(name, change_name) == 0;
}

/* The kernel finds names as they must be for the change to be made. False: it finds what is there. */
static bool answer_lookup(struct operation *op, const struct queued_change *now)
{
    const struct share_change *change = &now->change;
    uint64_t unique = op->in->unique, node = op->in->nodeid;
    struct operation copy = *op;
    const char *name = take_name(&copy);
    bool renamed = change->kind == SHARE_RENAMED;
    if (name == NULL || node == FUSE_ROOT_ID)
        return false;
    if (change->kind == SHARE_CREATED && is_at(node, name, change->node, change->name)) {
        answer_error(unique, ENOENT);
    } else if (renamed && is_at(node, name, change->new_node, change->new_name)) {
        answer_error(unique, ENOENT);
    } else if (change->kind != 0 && is_at(node, name, change->node, change->name)) {
        /* The file that is meant, if its number is known; the name may be another's by now. */
        bool gone = change->kind == SHARE_DELETED || (renamed && change->new_node == 0);
        bool answered = answer_known(unique, now->known);
        if (!answered && renamed && !gone)
            answered = answer_real(unique, change->new_node, change->new_name, 0);
        else if (!answered && !gone)
            answered = answer_real(unique, node, name, 0);
        if (!answered)
            answer_new_phantom(unique, change->type);
    } else {
        return false;
    }
    return true;
}

/* What the kernel has asked to make is there, or was. */
static void answer_made(struct operation *op)
{
    uint32_t type = op->in->opcode == FUSE_MKDIR ? S_IFDIR : S_IFLNK;
    if (op->in->opcode == FUSE_MKNOD) {
        TAKE(struct fuse_mknod_in, in);
        type = in.mode & S_IFMT;
    } else if (op->in->opcode == FUSE_MKDIR) {
        TAKE(struct fuse_mkdir_in, in);
    }
    const char *name = take_name(op);
    if (name == NULL)
        answer_error(op->in->unique, EINVAL);
    else if (!answer_real(op->in->unique, op->in->nodeid, name, type))
        answer_new_phantom(op->in->unique, type);
}

static void answer_attributes(struct operation *op, const struct share_change *change)
{
    struct inode *inode = hold_inode(op->in->nodeid);
    struct fuse_attr_out out = { 0 };
    int error = 0;
    if (inode == NULL)
        out.attr = phantom_attr(op->in->nodeid, op->in->nodeid == elsewhere_node ? S_IFDIR : change->type);
    else
        error = read_attr(inode, inode->fd, &out);
    if (out.attr.nlink == 0 && change->kind != SHARE_GONE)
        out.attr.nlink = 1;
    if (error != 0)
        answer_error(op->in->unique, error);
    else
        answer(op->in->unique, 0, &out, sizeof(out));
    drop_inode(inode);
}

static bool is_elsewhere(const struct operation *op)
{
    struct operation copy = *op;
    const char *name = take_name(&copy);
    return op->in->nodeid == FUSE_ROOT_ID && name != NULL && strcmp(name, SHARE_ELSEWHERE) == 0;
}

bool answer_replay(struct operation *op)
{
    struct queued_change now;
    if (!is_replaying(op->in->pid, &now))
        return false;
    uint64_t unique = op->in->unique;
    switch (op->in->opcode) {
    case FUSE_LOOKUP:
        if (!is_elsewhere(op))
            return answer_lookup(op, &now);
        answer_phantom(unique, elsewhere_node, S_IFDIR);
        return true;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        if (op->in->nodeid == FUSE_ROOT_ID)
            return false;
        answer_attributes(op, &now.change);
        return true;
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
        answer_made(op);
        return true;
    case FUSE_OPEN: {
        struct fuse_open_out out = { .open_flags = FOPEN_KEEP_CACHE };
        answer(unique, 0, &out, sizeof(out));
        return true;
    }
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        answer_error(unique, 0);
        return true;
    case FUSE_INIT:
    case FUSE_OPENDIR:
    case FUSE_RELEASEDIR:
    case FUSE_READLINK:
    case FUSE_STATFS:
        return false;
    case FUSE_GETXATTR:
    case FUSE_SETXATTR:
        /* the root's: how it reports and asks */
        if (op->in->nodeid == FUSE_ROOT_ID)
            return false;
        answer_error(unique, ENODATA);
        return true;
    default:
        answer_error(unique, EPERM);
        return true;
    }
}
