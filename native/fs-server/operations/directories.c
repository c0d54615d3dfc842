/* Reading directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/trust.h"
#include "operations/attributes.h"
#include "operations/names.h"
#include "operations/operations.h"
#include "table/devices.h"
#include "table/handles.h"

void do_opendir(struct operation *op)
{
    int fd = op->inode->type == S_IFDIR ? reopen(op->inode, O_RDONLY | O_DIRECTORY) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        answer_error(op->in->unique, op->inode->type == S_IFDIR ? errno : ENOTDIR);
        if (fd >= 0)
            close(fd);
        return;
    }
    struct fuse_open_out out = { .fh = add_handle(op->inode->id, fd, dir) };
    if (out.fh == 0)
        answer_error(op->in->unique, ENFILE);
    else
        answer(op->in->unique, 0, &out, sizeof(out));
}

void do_readdir(struct operation *op, bool plus)
{
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
    uint64_t device = guest_ino(op->inode->dev, 0);
    struct trust trust = plus ? trust_names(op->inode) : (struct trust){ .inode = NULL };
    take_lock(&handle->reading);
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
        struct fuse_dirent dirent = { .ino = item->d_ino ^ device,
                                      .off = (uint64_t)item->d_off,
                                      .namelen = (uint32_t)name_length,
                                      .type = item->d_type };
        char *at = data + used;
        if (plus) {
            struct fuse_entry_out entry = { 0 };
            /* "." and ".." carry no lookup; a name that is gone already is listed without one, too */
            if (!is_plain_name(item->d_name) || look_up(op->inode, item->d_name, &trust, &entry) != 0)
                memset(&entry, 0, sizeof(entry));
            else
                dirent.ino = entry.attr.ino;
            memcpy(at, &entry, sizeof(entry));
            at += sizeof(entry);
        }
        memcpy(at, &dirent, FUSE_NAME_OFFSET);
        memcpy(at + FUSE_NAME_OFFSET, item->d_name, name_length);
        used += size;
    }
    give_lock(&handle->reading);
    if (error != 0 && used == 0)
        answer_error(op->in->unique, error);
    else if (plus)
        answer_trusted(op->in->unique, &trust, TELLS_LIST, data, used);
    else
        answer(op->in->unique, 0, data, used);
    free(data);
    drop_handle(handle, false);
}
