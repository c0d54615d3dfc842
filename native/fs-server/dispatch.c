#include "dispatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "attributes.h"
#include "operation.h"

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
        // COPY_FILE_RANGE names the file that is read; what it writes has been opened for that
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
    case FUSE_LOOKUP:
        do_lookup(op);
        return;
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

void handle_request(struct request *request) {
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
