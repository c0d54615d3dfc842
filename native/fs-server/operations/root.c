/* The start of a conversation, and the virtual root whose children are the shares. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "host/shares.h"
#include "host/watches.h"
#include "operations/attributes.h"
#include "operations/operations.h"
#include "operations/replay.h"
#include "protocol/share-changes-protocol.h"

void do_init(struct operation *op)
{
    struct fuse_init_in in = { 0 };
    /* Older kernels send a shorter structure. */
    memcpy(&in, op->body, op->length < sizeof(in) ? op->length : sizeof(in));
    const uint32_t wanted = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                            FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                            FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
                            FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_HANDLE_KILLPRIV_V2;
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
    answer(op->in->unique, 0, &out, sizeof(out));
}

/* The guest says what it watches, by the root's attribute. */
static void do_watches(struct operation *op)
{
    TAKE(struct setxattr_in, in);
    struct share_watches head;
    const char *name = take_string(op);
    if (name == NULL || strcmp(name, SHARE_WATCHES_ATTRIBUTE) != 0 || op->length < sizeof(head)) {
        answer_error(op->in->unique, EACCES);
        return;
    }
    memcpy(&head, op->body, sizeof(head));
    op->body += sizeof(head);
    op->length -= sizeof(head);
    if (head.count > op->length / sizeof(struct share_watch)) {
        answer_error(op->in->unique, EINVAL);
        return;
    }
    note_watches(head.flags, op->body, head.count);
    answer_error(op->in->unique, 0);
}

void do_root(struct operation *op)
{
    uint64_t unique = op->in->unique;
    switch (op->in->opcode) {
    case FUSE_LOOKUP: {
        const char *name = take_name(op);
        struct inode *root = name != NULL ? look_up_share(name) : NULL;
        struct stat st;
        if (root == NULL) {
            answer_error(unique, ENOENT);
        } else if (fstatat(root->fd, "", &st, AT_EMPTY_PATH) < 0) {
            answer_error(unique, errno);
        } else {
            struct fuse_entry_out entry;
            fill_entry(&entry, root, &st);
            answer(unique, 0, &entry, sizeof(entry));
        }
        drop_inode(root);
        return;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = { .attr_valid = 1, .attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 } };
        answer(unique, 0, &out, sizeof(out));
        return;
    }
    case FUSE_STATFS: {
        struct fuse_statfs_out out = { .st = { .bsize = 4096, .frsize = 4096, .namelen = 255 } };
        answer(unique, 0, &out, sizeof(out));
        return;
    }
    case FUSE_OPENDIR: {
        /* for open_by_handle_at(2), which wants a descriptor of the mount */
        struct fuse_open_out out = { 0 };
        answer(unique, 0, &out, sizeof(out));
        return;
    }
    case FUSE_SETXATTR:
        do_watches(op);
        return;
    case FUSE_GETXATTR:
        do_next_change(op);
        return;
    default:
        answer_error(unique, EACCES);
    }
}
