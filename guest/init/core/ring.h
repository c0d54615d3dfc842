/* A byte queue that takes memory only while it holds something, up to a limit. */
#ifndef CAISSON_RING_H
#define CAISSON_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ring {
    uint8_t *bytes;
    size_t capacity; /* a power of two, or 0 */
    size_t start;
    size_t used;
};

/* Makes room for `extra` more bytes. Returns 0 or -ENOMEM. */
int ring_reserve(struct ring *ring, size_t extra);
/* Appends; the caller has reserved. */
void ring_append(struct ring *ring, const void *bytes, size_t length);
/* Reads from fd straight into reserved room, at most `limit`. As read(2), with -errno. */
ssize_t ring_read_from(struct ring *ring, int fd, size_t limit);
/* Copies `length` bytes that lie `offset` bytes after the start. */
void ring_copy(const struct ring *ring, size_t offset, void *to, size_t length);
/* The longest contiguous run at the start. */
size_t ring_front(const struct ring *ring, const uint8_t **bytes);
void ring_consume(struct ring *ring, size_t length);
void ring_free(struct ring *ring);

#endif
