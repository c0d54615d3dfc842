/* Files of known size, written past the page cache where that pays. */
#include "archives/file-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What several pages have to be multiples of: a page in the file, so that none of it is in the cache, too, and a
 * sector in memory. */
#define PAGE_BYTES 4096u
#define MEMORY_ALIGNMENT 512u
/* Small ones are as well kept in the cache, for who reads them next. */
#define DIRECT_FILE_BYTES (1u << 20)
#define DIRECT_PART_BYTES (64u << 10)

void file_writer_begin(struct file_writer *writer, int fd, uint64_t size)
{
    *writer = (struct file_writer){ .fd = fd };
    struct statfs fs;
    /* Shared files (FUSE) would go to the host in other requests, and tmpfs is nothing but cache. */
    writer->may_be_direct = size >= DIRECT_FILE_BYTES && fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

int file_writer_seek(struct file_writer *writer, uint64_t position)
{
    if (lseek(writer->fd, (off_t)position, SEEK_SET) < 0)
        return -errno;
    writer->position = position;
    return 0;
}

static bool set_direct(struct file_writer *writer, bool direct)
{
    if (writer->is_direct == direct)
        return true;
    int flags = fcntl(writer->fd, F_GETFL);
    if (flags < 0 || fcntl(writer->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
        return false;
    writer->is_direct = direct;
    return true;
}

/* How much of it goes past the cache, after `head` bytes up to the next page. */
static size_t direct_length(const struct file_writer *writer, const uint8_t *bytes, size_t length, size_t head)
{
    if (!writer->may_be_direct || length < head + DIRECT_PART_BYTES ||
        (uintptr_t)(bytes + head) % MEMORY_ALIGNMENT != 0)
        return 0;
    return (length - head) / PAGE_BYTES * PAGE_BYTES;
}

int file_writer_write(struct file_writer *writer, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        size_t head = (PAGE_BYTES - writer->position % PAGE_BYTES) % PAGE_BYTES;
        size_t direct = direct_length(writer, bytes, length, head);
        bool is_direct = direct > 0 && head == 0;
        if (!set_direct(writer, is_direct)) {
            writer->may_be_direct = false;
            if (!is_direct)
                return -errno;
            continue;
        }
        ssize_t written = write(writer->fd, bytes, is_direct ? direct : direct > 0 ? head : length);
        if (written < 0 && errno == EINVAL && is_direct) {
            writer->may_be_direct = false;
            continue;
        }
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        writer->position += (size_t)written;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}
