/* The frame parser: whole frames, cut frames, and every way a connection can break off. */
#include "wire/frame.h"

#include "check.h"

static struct parser parser;
static uint8_t wire[4 * MAX_FRAME_BYTES];

static const char nonce[] = "0123456789abcdef";

static void feed(const uint8_t *bytes, size_t length)
{
    uint8_t *room;
    size_t most = parser_room(&parser, &room);
    CHECK(most >= length);
    memcpy(room, bytes, length);
    parser_filled(&parser, length);
}

static size_t write_sync(uint8_t *to)
{
    memcpy(to, SYNC_MAGIC, SYNC_MAGIC_BYTES);
    memcpy(to + SYNC_MAGIC_BYTES, nonce, SYNC_NONCE_BYTES);
    return SYNC_MAGIC_BYTES + SYNC_NONCE_BYTES;
}

static void synchronise(void)
{
    struct frame frame;
    parser_reset(&parser);
    feed(wire, write_sync(wire));
    CHECK(parser_next(&parser, &frame) == PARSED_SYNC);
    CHECK(memcmp(frame.payload, nonce, SYNC_NONCE_BYTES) == 0);
    CHECK(parser_next(&parser, &frame) == PARSED_NOTHING);
}

static void frames_in_pieces(void)
{
    struct frame frame;
    synchronise();
    size_t length = frame_write(wire, FRAME_REQUEST, FRAME_FLAG_MORE, 42, "hello", 5);
    for (size_t i = 0; i + 1 < length; i++) {
        feed(wire + i, 1);
        CHECK(parser_next(&parser, &frame) == PARSED_NOTHING);
    }
    feed(wire + length - 1, 1);
    CHECK(parser_next(&parser, &frame) == PARSED_FRAME);
    CHECK(frame.type == FRAME_REQUEST && frame.flags == FRAME_FLAG_MORE && frame.channel == 42 && frame.length == 5);
    CHECK(memcmp(frame.payload, "hello", 5) == 0);
}

static void largest_frames(void)
{
    static uint8_t payload[MAX_PAYLOAD_BYTES];
    struct frame frame;
    synchronise();
    for (int round = 0; round < 5; round++) {
        memset(payload, round, sizeof(payload));
        size_t length = frame_write(wire, FRAME_DATA, 0, 0xffffffffu, payload, sizeof(payload));
        CHECK(length == MAX_FRAME_BYTES);
        feed(wire, length / 2);
        CHECK(parser_next(&parser, &frame) == PARSED_NOTHING);
        feed(wire + length / 2, length - length / 2);
        CHECK(parser_next(&parser, &frame) == PARSED_FRAME);
        CHECK(frame.length == sizeof(payload) && frame.payload[1000] == round);
    }
}

/* A frame cut at every byte, then the preamble of the next connection: that must be found, and nothing before it. */
static void cut_anywhere(void)
{
    static const uint8_t zeros[4096];
    static uint8_t cut[200];
    uint8_t payload[100];
    /* What a container might send through its stdin to forge a synchronisation. */
    memset(payload, 'x', sizeof(payload));
    memcpy(payload, SYNC_MAGIC "ffffffffffffffff", 32);
    size_t length = frame_write(cut, FRAME_DATA, 0, 7, payload, sizeof(payload));
    for (size_t at = 0; at < length; at++) {
        struct frame frame;
        enum parsed parsed = PARSED_NOTHING;
        synchronise();
        feed(cut, at);
        CHECK(parser_next(&parser, &frame) == PARSED_NOTHING);
        for (size_t left = SYNC_PREAMBLE_ZEROS; left > 0;) {
            size_t part = left < sizeof(zeros) ? left : sizeof(zeros);
            feed(zeros, part);
            CHECK(parser_next(&parser, &frame) == PARSED_NOTHING);
            left -= part;
        }
        uint8_t sync[SYNC_MAGIC_BYTES + SYNC_NONCE_BYTES];
        size_t sync_length = write_sync(sync);
        for (size_t i = 0; i < sync_length; i++) {
            CHECK(parsed == PARSED_NOTHING);
            feed(sync + i, 1);
            parsed = parser_next(&parser, &frame);
        }
        CHECK(parsed == PARSED_SYNC);
        CHECK(memcmp(frame.payload, nonce, SYNC_NONCE_BYTES) == 0);
    }
}

static void unsound_headers(void)
{
    struct frame frame;
    for (size_t bit = 0; bit < FRAME_HEADER_BYTES * 8; bit++) {
        synchronise();
        size_t length = frame_write(wire, FRAME_ACK, 0, 5, "12345678", 8);
        wire[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        feed(wire, length);
        CHECK(parser_next(&parser, &frame) == PARSED_NOTHING);
        CHECK(parser.scanning);
    }
}

int main(void)
{
    frames_in_pieces();
    largest_frames();
    cut_anywhere();
    unsound_headers();
    return 0;
}
