#include "operations/dispatch.h"

#include <errno.h>
#include <fcntl.h>

#include "operations/operations.h"
#include "operations/replay.h"
#include "table/crowd.h"
#include "wire/waiting.h"

static void do_unlink(struct operation *op)
{
    do_remove(op, 0);
}

static void do_rmdir(struct operation *op)
{
    do_remove(op, AT_REMOVEDIR);
}

static void do_plain_rename(struct operation *op)
{
    TAKE(struct fuse_rename_in, in);
    do_rename(op, in.newdir, 0);
}

static void do_rename2(struct operation *op)
{
    TAKE(struct fuse_rename2_in, in);
    do_rename(op, in.newdir, in.flags);
}

static void do_plain_readdir(struct operation *op)
{
    do_readdir(op, false);
}

static void do_readdirplus(struct operation *op)
{
    do_readdir(op, true);
}

static void do_setlk_now(struct operation *op)
{
    do_setlk(op, false);
}

static void do_setlk_wait(struct operation *op)
{
    do_setlk(op, true);
}

/* The operation changes something, so a read-only share refuses it. Not so COPY_FILE_RANGE: it names
 * the file that is read, and looks itself at the one that it writes. */
#define CHANGES 1u
/* The node is the directory in which a name is made, removed or looked up. */
#define IN_DIRECTORY 2u

static const struct {
    void (*carry_out)(struct operation *op);
    unsigned flags;
} operations[] = {
    [FUSE_LOOKUP] = { do_lookup, IN_DIRECTORY },
    [FUSE_GETATTR] = { do_getattr, 0 },
    [FUSE_SETATTR] = { do_setattr, CHANGES },
    [FUSE_READLINK] = { do_readlink, 0 },
    [FUSE_SYMLINK] = { do_symlink, CHANGES | IN_DIRECTORY },
    [FUSE_MKNOD] = { do_mknod, CHANGES | IN_DIRECTORY },
    [FUSE_MKDIR] = { do_mkdir, CHANGES | IN_DIRECTORY },
    [FUSE_UNLINK] = { do_unlink, CHANGES | IN_DIRECTORY },
    [FUSE_RMDIR] = { do_rmdir, CHANGES | IN_DIRECTORY },
    [FUSE_RENAME] = { do_plain_rename, CHANGES | IN_DIRECTORY },
    [FUSE_RENAME2] = { do_rename2, CHANGES | IN_DIRECTORY },
    [FUSE_LINK] = { do_link, CHANGES | IN_DIRECTORY },
    [FUSE_OPEN] = { do_open, 0 },
    [FUSE_CREATE] = { do_create, CHANGES | IN_DIRECTORY },
    [FUSE_READ] = { do_read, 0 },
    [FUSE_WRITE] = { do_write, CHANGES },
    [FUSE_STATFS] = { do_statfs, 0 },
    [FUSE_RELEASE] = { do_release, 0 },
    [FUSE_RELEASEDIR] = { do_release, 0 },
    [FUSE_FSYNC] = { do_fsync, 0 },
    [FUSE_FSYNCDIR] = { do_fsync, 0 },
    [FUSE_FLUSH] = { do_flush, 0 },
    [FUSE_OPENDIR] = { do_opendir, 0 },
    [FUSE_READDIR] = { do_plain_readdir, 0 },
    [FUSE_READDIRPLUS] = { do_readdirplus, 0 },
    [FUSE_SETXATTR] = { do_setxattr, CHANGES },
    [FUSE_GETXATTR] = { do_getxattr, 0 },
    [FUSE_LISTXATTR] = { do_listxattr, 0 },
    [FUSE_REMOVEXATTR] = { do_removexattr, CHANGES },
    [FUSE_FALLOCATE] = { do_fallocate, CHANGES },
    [FUSE_LSEEK] = { do_lseek, 0 },
    [FUSE_COPY_FILE_RANGE] = { do_copy_file_range, 0 },
    [FUSE_GETLK] = { do_getlk, 0 },
    [FUSE_SETLK] = { do_setlk_now, 0 },
    [FUSE_SETLKW] = { do_setlk_wait, 0 },
    [FUSE_SYNCFS] = { do_syncfs, 0 },
};

/* What the table says of the opcode. */
static void carry_out(struct operation *op)
{
    uint32_t opcode = op->in->opcode;
    uint64_t unique = op->in->unique;
    if (opcode >= sizeof(operations) / sizeof(operations[0]) || operations[opcode].carry_out == NULL)
        answer_error(unique, ENOSYS);
    else if ((operations[opcode].flags & CHANGES) != 0 && op->inode->share->readonly)
        answer_error(unique, EROFS);
    else if ((operations[opcode].flags & IN_DIRECTORY) != 0 && op->inode->type != S_IFDIR)
        answer_error(unique, ENOTDIR);
    else
        operations[opcode].carry_out(op);
}

static void handle(struct request *request)
{
    const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request->bytes;
    struct operation op = {
        .in = in, .body = request->bytes + sizeof(*in), .length = request->length - sizeof(*in), .inode = NULL
    };
    if (answer_replay(&op)) {
        finish_request(request);
        return;
    }
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
    ask_to_forget();
    finish_request(request);
}

/* Forgets and interrupts have no answer and are cheap: at once, and in order. */
static bool handle_at_once(struct request *request)
{
    const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request->bytes;
    const void *body = request->bytes + sizeof(*in);
    size_t length = request->length - sizeof(*in);
    switch (in->opcode) {
    case FUSE_FORGET:
        if (length >= sizeof(struct fuse_forget_in))
            forget(in->nodeid, ((const struct fuse_forget_in *)body)->nlookup);
        break;
    case FUSE_BATCH_FORGET:
        if (length >= sizeof(struct fuse_batch_forget_in)) {
            const struct fuse_batch_forget_in *batch = body;
            const struct fuse_forget_one *one = (const struct fuse_forget_one *)(batch + 1);
            size_t there = (length - sizeof(*batch)) / sizeof(*one);
            for (size_t i = 0; i < batch->count && i < there; i++)
                forget(one[i].nodeid, one[i].nlookup);
        }
        break;
    case FUSE_INTERRUPT:
        if (length >= sizeof(struct fuse_interrupt_in))
            interrupt_waiting(((const struct fuse_interrupt_in *)body)->unique);
        break;
    case FUSE_SETLKW:
        start_waiting(request, handle);
        return true;
    default:
        return false;
    }
    finish_request(request);
    return true;
}

const struct request_handler operations_handler = { .at_once = handle_at_once, .handle = handle };
