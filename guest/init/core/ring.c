/* A byte queue that takes memory only while it holds something. */
#include "core/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define SMALLEST 4096

int ring_reserve(struct ring *ring, size_t extra)
{
    if (ring->capacity - ring->used >= extra)
        return 0;
    size_t capacity = ring->capacity > 0 ? ring->capacity : SMALLEST;
    while (capacity < ring->used + extra)
        capacity *= 2;
    uint8_t *bytes = malloc(capacity);
    if (bytes == NULL)
        return -ENOMEM;
    ring_copy(ring, 0, bytes, ring->used);
    free(ring->bytes);
    ring->bytes = bytes;
    ring->capacity = capacity;
    ring->start = 0;
    return 0;
}

/* The free room, as up to two runs. Returns their number. */
static int free_runs(struct ring *ring, size_t limit, struct iovec runs[2])
{
    size_t room = ring->capacity - ring->used;
    if (room > limit)
        room = limit;
    if (room == 0)
        return 0;
    size_t end = (ring->start + ring->used) & (ring->capacity - 1);
    size_t first = ring->capacity - end;
    if (first >= room) {
        runs[0] = (struct iovec){ ring->bytes + end, room };
        return 1;
    }
    runs[0] = (struct iovec){ ring->bytes + end, first };
    runs[1] = (struct iovec){ ring->bytes, room - first };
    return 2;
}

void ring_append(struct ring *ring, const void *bytes, size_t length)
{
    struct iovec runs[2];
    int count = free_runs(ring, length, runs);
    const uint8_t *from = bytes;
    for (int i = 0; i < count; i++) {
        memcpy(runs[i].iov_base, from, runs[i].iov_len);
        from += runs[i].iov_len;
        ring->used += runs[i].iov_len;
    }
}

ssize_t ring_read_from(struct ring *ring, int fd, size_t limit)
{
    struct iovec runs[2];
    int count = free_runs(ring, limit, runs);
    if (count == 0)
        return -EAGAIN;
    ssize_t got = readv(fd, runs, count);
    if (got < 0)
        return -errno;
    ring->used += (size_t)got;
    return got;
}

void ring_copy(const struct ring *ring, size_t offset, void *to, size_t length)
{
    if (length == 0)
        return;
    size_t from = (ring->start + offset) & (ring->capacity - 1);
    size_t first = ring->capacity - from;
    if (first > length)
        first = length;
    memcpy(to, ring->bytes + from, first);
    memcpy((uint8_t *)to + first, ring->bytes, length - first);
}

size_t ring_front(const struct ring *ring, const uint8_t **bytes)
{
    if (ring->used == 0)
        return 0;
    *bytes = ring->bytes + ring->start;
    size_t run = ring->capacity - ring->start;
    return run < ring->used ? run : ring->used;
}

void ring_consume(struct ring *ring, size_t length)
{
    if (length >= ring->used) {
        ring->used = 0;
        ring->start = 0;
        /* A channel that was busy once should not hold a window's worth of memory for ever. */
        if (ring->capacity > SMALLEST)
            ring_free(ring);
        return;
    }
    ring->start = (ring->start + length) & (ring->capacity - 1);
    ring->used -= length;
}

void ring_free(struct ring *ring)
{
    free(ring->bytes);
    *ring = (struct ring){ 0 };
}
