/* The bytes of a tar stream, and what is said when they are wrong. The stream is hostile. */
#ifndef CAISSON_TAR_INPUT_H
#define CAISSON_TAR_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bulk;

struct tar_input {
    int fd;
    struct bulk *bulk;    /* where the bytes come from instead, unless NULL */
    uint8_t *copy_buffer; /* of TAR_COPY_BYTES */
    char *message;        /* what went wrong, in Docker's words */
    unsigned message_size;
};

enum { TAR_COPY_BYTES = 256 * 1024 };

/* Writes the message. Returns -error. */
__attribute__((format(printf, 3, 4))) int tar_fail(struct tar_input *input, int error, const char *format, ...);

/* 1 when `length` bytes were read, 0 at an end before the first byte, else -errno. */
int tar_read_all(struct tar_input *input, void *buffer, size_t length);
/* All of the buffer, or -errno; the stream must not end before. Not 0 when it worked. */
int tar_must_read(struct tar_input *input, void *buffer, size_t length);
/* Points `bytes` at the next ones, up to `length` of them, good until the next read. How many, or -errno. */
ssize_t tar_must_borrow(struct tar_input *input, const uint8_t **bytes, uint64_t length);
/* Bytes of the blocks that `size` bytes of content take. */
uint64_t tar_padded(uint64_t size);
/* What fills the last block of `size` bytes of content up. An archive may end in it, as Go's archive/tar has it. */
int tar_skip_padding(struct tar_input *input, uint64_t size);

#endif
