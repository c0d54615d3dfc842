/* Entries of a tar stream: headers, and the extended headers before them. The stream is hostile. */
#ifndef CAISSON_TAR_ENTRY_H
#define CAISSON_TAR_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct bulk;

struct tar_input {
    int fd;
    struct bulk *bulk; /* where the bytes come from instead, unless NULL */
    uint8_t *copy_buffer; /* of TAR_COPY_BYTES */
    char *message;     /* what went wrong, in Docker's words */
    unsigned message_size;
};

enum { TAR_COPY_BYTES = 256 * 1024 };

struct tar_xattr {
    struct tar_xattr *next;
    const char *name;
    const char *value;
    size_t length;
    char text[];
};

/* Of a sparse file: so many bytes of the data belong there. */
struct tar_part {
    int64_t offset;
    int64_t length;
};

/* An entry, after the extended headers before it were applied. All is owned. */
struct tar_entry {
    char *name;
    char *link;
    char type;
    mode_t mode;
    int64_t uid;
    int64_t gid;
    int64_t size; /* never negative */
    struct timespec mtime;
    dev_t device;
    struct tar_xattr *xattrs;
    bool sparse;
    bool map_before_data; /* sparse_read_map() reads it */
    int64_t stored;       /* bytes of a sparse file in the archive */
    struct tar_part *parts;
    size_t part_count;
};

/* Writes the message. Returns -error. */
__attribute__((format(printf, 3, 4))) int tar_fail(struct tar_input *input, int error, const char *format, ...);

/* 1 with the next entry, which `tar_entry_free` frees, 0 at the end of the archive, else -errno. */
int tar_next_entry(struct tar_input *input, struct tar_entry *entry);
void tar_entry_free(struct tar_entry *entry);

/* All of the buffer, or -errno; the stream must not end before. Not 0 when it worked. */
int tar_must_read(struct tar_input *input, void *buffer, size_t length);
/* Points `bytes` at the next ones, up to `length` of them, good until the next read. How many, or -errno. */
ssize_t tar_must_borrow(struct tar_input *input, const uint8_t **bytes, uint64_t length);
/* What fills the last block of `size` bytes of content up. An archive may end in it, as Go's archive/tar has it. */
int tar_skip_padding(struct tar_input *input, uint64_t size);

#endif
