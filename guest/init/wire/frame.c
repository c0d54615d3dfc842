/* Frames on the wire: bytes in, frames and synchronisations out. */
#include "wire/frame.h"

#include <string.h>

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

uint64_t get_u64(const uint8_t *from)
{
    return (uint64_t)get_u32(from) | (uint64_t)get_u32(from + 4) << 32;
}

void put_u64(uint8_t *to, uint64_t value)
{
    put_u32(to, (uint32_t)value);
    put_u32(to + 4, (uint32_t)(value >> 32));
}

static uint32_t check_of(uint8_t type, uint8_t flags, uint32_t channel, uint32_t length)
{
    return (uint32_t)type ^ (uint32_t)flags << 8 ^ channel ^ length ^ FRAME_CHECK_SEED;
}

void parser_reset(struct parser *parser)
{
    parser->scanning = true;
    parser->start = parser->end = 0;
}

size_t parser_room(struct parser *parser, uint8_t **room)
{
    if (parser->start == parser->end)
        parser->start = parser->end = 0;
    if (parser->end > sizeof(parser->buffer) / 2) {
        memmove(parser->buffer, parser->buffer + parser->start, parser->end - parser->start);
        parser->end -= parser->start;
        parser->start = 0;
    }
    *room = parser->buffer + parser->end;
    return sizeof(parser->buffer) - parser->end;
}

void parser_filled(struct parser *parser, size_t length)
{
    parser->end += length;
}

static enum parsed scan(struct parser *parser, struct frame *frame)
{
    const uint8_t *from = parser->buffer + parser->start;
    size_t left = parser->end - parser->start;
    const uint8_t *magic = memmem(from, left, SYNC_MAGIC, SYNC_MAGIC_BYTES);
    if (magic == NULL) {
        size_t keep = left < SYNC_MAGIC_BYTES - 1 ? left : SYNC_MAGIC_BYTES - 1;
        parser->start = parser->end - keep;
        return PARSED_NOTHING;
    }
    parser->start = (size_t)(magic - parser->buffer);
    if (parser->end - parser->start < SYNC_MAGIC_BYTES + SYNC_NONCE_BYTES)
        return PARSED_NOTHING;
    *frame = (struct frame){ .payload = magic + SYNC_MAGIC_BYTES, .length = SYNC_NONCE_BYTES };
    parser->start += SYNC_MAGIC_BYTES + SYNC_NONCE_BYTES;
    parser->scanning = false;
    return PARSED_SYNC;
}

enum parsed parser_next(struct parser *parser, struct frame *frame)
{
    if (parser->scanning)
        return scan(parser, frame);
    const uint8_t *header = parser->buffer + parser->start;
    size_t left = parser->end - parser->start;
    if (left < FRAME_HEADER_BYTES)
        return PARSED_NOTHING;
    *frame = (struct frame){
        .type = header[0],
        .flags = header[1],
        .channel = get_u32(header + 4),
        .length = get_u32(header + 8),
        .payload = header + FRAME_HEADER_BYTES,
    };
    bool sound = frame->type >= FRAME_HELLO && frame->type <= FRAME_RESET && header[2] == 0 && header[3] == 0 &&
                 frame->length <= MAX_PAYLOAD_BYTES &&
                 get_u32(header + 12) == check_of(frame->type, frame->flags, frame->channel, frame->length);
    if (!sound) {
        parser->scanning = true;
        return scan(parser, frame);
    }
    size_t whole = FRAME_HEADER_BYTES + frame->length + FRAME_TRAILER_BYTES;
    if (left < whole)
        return PARSED_NOTHING;
    parser->start += whole;
    if (get_u32(frame->payload + frame->length) != FRAME_TRAILER) {
        /* The frame was cut and filled up with the preamble's zeros. What it holds may be a container's bytes, so the
         * search goes on behind it; the preamble is as long as the longest frame, so the magic is yet to come. */
        parser->scanning = true;
        return scan(parser, frame);
    }
    return PARSED_FRAME;
}

size_t frame_seal(uint8_t *to, uint8_t type, uint8_t flags, uint32_t channel, size_t length)
{
    to[0] = type;
    to[1] = flags;
    to[2] = to[3] = 0;
    put_u32(to + 4, channel);
    put_u32(to + 8, (uint32_t)length);
    put_u32(to + 12, check_of(type, flags, channel, (uint32_t)length));
    put_u32(to + FRAME_HEADER_BYTES + length, FRAME_TRAILER);
    return FRAME_HEADER_BYTES + length + FRAME_TRAILER_BYTES;
}

size_t frame_write(uint8_t *to, uint8_t type, uint8_t flags, uint32_t channel, const void *payload, size_t length)
{
    if (length > 0)
        memcpy(to + FRAME_HEADER_BYTES, payload, length);
    return frame_seal(to, type, flags, channel, length);
}
