/* records: the log of one Pod: what its command wrote and what became of it, in one order.
 *
 * Output as records: cut at the ends of lines, and of lines of 16 KiB, as dockerd's log drivers do. A begun line is a record
 * too, so that who is attached sees a prompt at once; whole lines that come together are one. */
#ifndef CAISSON_RECORD_H
#define CAISSON_RECORD_H

#include <stdint.h>

#include "core/ring.h"
#include "protocol/supervisor.h"

struct record_header {
    uint32_t length;
    uint8_t kind;
    uint8_t flags;
    uint16_t zero;
    int64_t time_ns; /* since the epoch */
};
_Static_assert(sizeof(struct record_header) == RECORD_HEADER_BYTES, "a record's header has no gaps");

#define RECORD_LARGEST (RECORD_HEADER_BYTES + RECORD_MOST_BYTES + RECORD_TRAILER_BYTES)

/* One stream's cuts. */
struct record_cutter {
    uint8_t kind;
    uint32_t begun; /* bytes of the line that has not ended */
    size_t
        joined; /* so many bytes of whole lines that come at once are joined by the next; 0: as many as a record may have */
};

/* Nanoseconds since the epoch, later with each call. */
int64_t record_time(void);
/* Appends a record. 0 or -errno. */
int record_write(struct ring *to, uint8_t kind, uint8_t flags, int64_t time_ns, const void *content, uint32_t length);
/* Appends the records that these bytes make. */
int record_cut(struct record_cutter *cutter, int64_t time_ns, const uint8_t *bytes, size_t length, struct ring *to);
/* How many lines end in a record with this content. */
uint64_t record_lines(const struct record_header *header, const uint8_t *content);
/* The stream has ended: so does its last line. */
int record_cut_end(struct record_cutter *cutter, int64_t time_ns, struct ring *to);

#endif
