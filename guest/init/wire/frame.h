/* Frames on the wire: bytes in, frames and synchronisations out. No I/O. */
#ifndef CAISSON_FRAME_H
#define CAISSON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/agent.h"

struct frame {
    uint8_t type;
    uint8_t flags;
    uint32_t channel;
    uint32_t length;
    const uint8_t *payload; /* valid until the parser gets more bytes */
};

struct parser {
    bool scanning; /* looking for the sync magic */
    size_t start, end;
    uint8_t buffer[2 * MAX_FRAME_BYTES];
};

enum parsed {
    PARSED_NOTHING, /* more bytes are needed */
    PARSED_FRAME,
    PARSED_SYNC, /* frame->payload is the nonce */
};

void parser_reset(struct parser *parser);
/* Where to put the next bytes, and how many fit; always at least one. */
size_t parser_room(struct parser *parser, uint8_t **room);
void parser_filled(struct parser *parser, size_t length);
enum parsed parser_next(struct parser *parser, struct frame *frame);

/* Writes header, payload and trailer to `to`, which has room for length + FRAME_HEADER_BYTES + FRAME_TRAILER_BYTES. */
size_t frame_write(uint8_t *to, uint8_t type, uint8_t flags, uint32_t channel, const void *payload, size_t length);
/* For a payload already in place at to + FRAME_HEADER_BYTES. */
size_t frame_seal(uint8_t *to, uint8_t type, uint8_t flags, uint32_t channel, size_t length);

uint64_t get_u64(const uint8_t *from);
void put_u64(uint8_t *to, uint64_t value);

#endif
