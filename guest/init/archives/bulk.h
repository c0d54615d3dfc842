/* A job's bytes by way of the bulk disk: a small disk whose content is the daemon's memory. Records on the job's pipes
 * say what lies in it (docs/agent-protocol.md, "Bulk data"), so that the port carries no more than those. */
#ifndef CAISSON_BULK_H
#define CAISSON_BULK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/failure.h"
#include "protocol/agent.h"

/* A job's part of the disk: slots that are used in turn. */
struct bulk_area {
    uint64_t offset;
    uint32_t slot_bytes;
    uint32_t slots;
};

struct bulk {
    struct bulk_area area;
    int disk;
    int records;         /* where they come from or go to */
    int releases;        /* a byte for each slot that is free again: the other way */
    uint64_t turn;       /* slots used so far */
    uint32_t busy;       /* written and not released */
    uint32_t plain_left; /* of the record that is being read */
    bool begun;          /* bytes were sent, so this is no small stream */
    size_t start, end;   /* what the buffer holds */
    uint8_t *buffer;     /* of a slot, aligned */
};

/* Reads field `bulk` of `object`; false when there is none. -EINVAL with `failure` for one that makes no sense. */
int bulk_area_read(const json_t *object, struct bulk_area *area, bool *present, struct failure *failure);

/* Opens the disk. Returns 0 or -errno; `bulk_close` is for both. */
int bulk_open(struct bulk *bulk, const struct bulk_area *area, const char *disk, int records, int releases);
void bulk_close(struct bulk *bulk);

/* As read(2), but for -errno: some bytes, 0 at the end. -EPROTO for records that make no sense. */
ssize_t bulk_read(struct bulk *bulk, void *to, size_t length);
/* As bulk_read, without a copy: points `bytes` at up to `length` bytes that are good until the next read. 0 when the next
 * ones are in no slot, or there are none: bulk_read has them. */
ssize_t bulk_borrow(struct bulk *bulk, const uint8_t **bytes, size_t length);

/* All of it, or -errno. What is gathered goes with bulk_flush. */
int bulk_write(struct bulk *bulk, const void *from, size_t length);
int bulk_flush(struct bulk *bulk);

#endif
