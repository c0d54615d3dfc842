/* Writing a file of known size, from its start or in parts. Of a large one on a container's own disk whole pages go past
 * the page cache: copying them into it, and finding them there again for the disk, costs an emulated CPU more than the
 * rest of unpacking them (docs/adr/0015-bulk-disk.md). */
#ifndef CAISSON_FILE_WRITER_H
#define CAISSON_FILE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_writer {
    int fd;            /* the caller's */
    uint64_t position; /* where it stands */
    bool may_be_direct;
    bool is_direct; /* O_DIRECT is set */
};

/* `size`: how many bytes will be written. */
void file_writer_begin(struct file_writer *writer, int fd, uint64_t size);
/* What is written next belongs there. 0 or -errno. */
int file_writer_seek(struct file_writer *writer, uint64_t position);
/* All of it, or -errno. Bytes that don't start at a multiple of 512 in memory are copied. */
int file_writer_write(struct file_writer *writer, const uint8_t *bytes, size_t length);

#endif
