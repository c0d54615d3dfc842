/* Channels: offsets, credit, retention until acknowledged, and starting over on a new connection. */
#include "wire/channel.h"

#include <errno.h>
#include <unistd.h>

#include "check.h"
#include "wire/frame.h"

static uint8_t frame_bytes[MAX_FRAME_BYTES];
static int owner, rooms, inputs;

static void on_room(void *argument)
{
    CHECK(argument == &owner);
    rooms++;
}

static void on_input(void *argument)
{
    CHECK(argument == &owner);
    inputs++;
}

static const struct channel_user user = { on_room, on_input };

/* The next frame's type, or 0; its offset and length. */
static int next(uint64_t *offset, size_t *length)
{
    size_t size = channels_next_frame(frame_bytes);
    if (size == 0)
        return 0;
    *offset = get_u64(frame_bytes + FRAME_HEADER_BYTES);
    *length = size - FRAME_HEADER_BYTES - FRAME_TRAILER_BYTES - 8;
    return frame_bytes[0];
}

static void output_is_kept_until_acknowledged(void)
{
    uint64_t offset;
    size_t length;
    struct channel *channel = channel_open(1, true, false, &user, &owner);
    CHECK(channel != NULL && channel_open(1, true, false, &user, &owner) == NULL);
    CHECK(channel_put(channel, "hello world", 11) == 0);
    CHECK(next(&offset, &length) == FRAME_DATA && offset == 0 && length == 11);
    CHECK(next(&offset, &length) == 0);
    channel_on_ack(1, 6);
    channels_restart();
    CHECK(next(&offset, &length) == FRAME_DATA && offset == 6 && length == 5);
    CHECK(memcmp(frame_bytes + FRAME_HEADER_BYTES + 8, "world", 5) == 0);
    channel_on_ack(1, 99); /* nonsense */
    channel_on_ack(1, 3);  /* old */
    CHECK(channel->out_acked == 6);
    channel_end(channel);
    channel_release(channel);
    CHECK(!channel_end_sent(1));
    CHECK(next(&offset, &length) == FRAME_EOF && offset == 11);
    CHECK(channel_end_sent(1) && channel_find(1) != NULL);
    channels_restart(); /* lost on the way: all of it again */
    CHECK(!channel_end_sent(1));
    CHECK(next(&offset, &length) == FRAME_DATA && offset == 6);
    CHECK(next(&offset, &length) == FRAME_EOF);
    channel_on_ack(1, 11);
    CHECK(channel_find(1) == NULL);
}

static void acknowledged_before_the_connection_broke(void)
{
    uint64_t offset;
    size_t length;
    struct channel *channel = channel_open(2, true, false, &user, &owner);
    CHECK(channel_put(channel, "0123456789", 10) == 0);
    CHECK(next(&offset, &length) == FRAME_DATA);
    channels_restart();
    channel_on_ack(2, 10); /* the daemon has them, its acknowledgement was lost */
    CHECK(next(&offset, &length) == 0);
    CHECK(channel->out_acked == 10 && channel->out_sent == 10);
    channel_destroy(channel);
}

static void credit_ends_at_the_window(void)
{
    static uint8_t bytes[CHANNEL_WINDOW_BYTES];
    uint64_t offset, sent = 0;
    size_t length;
    struct channel *channel = channel_open(3, true, false, &user, &owner);
    CHECK(channel_put(channel, bytes, sizeof(bytes)) == 0);
    CHECK(channel_room(channel) == 0 && channel_put(channel, "x", 1) == -EAGAIN);
    while (next(&offset, &length) == FRAME_DATA) {
        CHECK(offset == sent);
        sent += length;
    }
    CHECK(sent == CHANNEL_WINDOW_BYTES);
    rooms = 0;
    channel_on_ack(3, 1000);
    CHECK(rooms == 1 && channel_room(channel) == 1000);
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], bytes, 4000) == 4000);
    CHECK(channel_fill(channel, ends[0]) > 0);
    while (channel_fill(channel, ends[0]) > 0)
        ;
    CHECK(channel_room(channel) == 0 && channel_fill(channel, ends[0]) == -EAGAIN);
    channel_on_reset(3);
    CHECK(channel_room(channel) == CHANNEL_WINDOW_BYTES && channel_fill(channel, ends[0]) == 3000);
    CHECK(next(&offset, &length) == 0);
    channel_end(channel);
    channel_release(channel);
    CHECK(channel_find(3) == NULL);
    close(ends[0]);
    close(ends[1]);
}

static void input_in_order_once(void)
{
    uint8_t type = 0;
    uint32_t id = 0;
    uint64_t offset = 0;
    const uint8_t *bytes = NULL;
    struct channel *channel = channel_open(4, false, true, &user, &owner);
    inputs = 0;
    channel_on_data(4, 0, (const uint8_t *)"hello", 5);
    channel_on_data(4, 2, (const uint8_t *)"llo wor", 7); /* repeated in part */
    channel_on_data(4, 0, (const uint8_t *)"hello", 5);   /* repeated */
    channel_on_data(4, 50, (const uint8_t *)"gap", 3);
    CHECK(inputs == 2 && channel->in_received == 9);
    CHECK(ring_front(&channel->in, &bytes) == 9 && memcmp(bytes, "hello wor", 9) == 0);
    CHECK(!channels_next_control(&type, &id, &offset)); /* nothing consumed */
    channel_consume(channel, 9);
    CHECK(channels_next_control(&type, &id, &offset) && type == FRAME_ACK && id == 4 && offset == 9);
    CHECK(!channels_next_control(&type, &id, &offset));
    channels_restart();
    CHECK(channels_next_control(&type, &id, &offset) && type == FRAME_ACK && offset == 9);
    channel_on_end(4, 5); /* not where the bytes end */
    CHECK(!channel->in_ended);
    channel_on_end(4, 9);
    CHECK(channel->in_ended && inputs == 3);
    channel_on_data(4, 9, (const uint8_t *)"late", 4);
    CHECK(channel->in_received == 9);
    channel_release(channel);
    CHECK(channel_find(4) == NULL && !channels_next_control(&type, &id, &offset));
}

static void input_beyond_its_credit_is_refused(void)
{
    static uint8_t bytes[65536];
    struct channel *channel = channel_open(5, false, true, &user, &owner);
    for (uint64_t offset = 0; offset < 2 * CHANNEL_WINDOW_BYTES; offset += sizeof(bytes))
        channel_on_data(5, offset, bytes, sizeof(bytes));
    CHECK(channel->in_received == CHANNEL_WINDOW_BYTES);
    channel_refuse(channel);
    uint8_t type = 0;
    uint32_t id = 0;
    uint64_t offset = 0;
    CHECK(channels_next_control(&type, &id, &offset) && type == FRAME_RESET && id == 5);
    channel_release(channel);
    channel_on_data(12345, 0, bytes, 1); /* of no channel at all */
    CHECK(channels_next_control(&type, &id, &offset) && type == FRAME_RESET && id == 12345);
    for (uint32_t unknown = 1000; unknown < 2000; unknown++)
        channel_on_data(unknown, 0, bytes, 1);
    int resets = 0;
    while (channels_next_control(&type, &id, &offset))
        resets++;
    CHECK(resets == 16);
}

static void channels_take_turns(void)
{
    static uint8_t bytes[CHANNEL_WINDOW_BYTES];
    struct channel *one = channel_open(6, true, false, &user, &owner);
    struct channel *two = channel_open(7, true, false, &user, &owner);
    CHECK(channel_put(one, bytes, sizeof(bytes)) == 0 && channel_put(two, bytes, sizeof(bytes)) == 0);
    uint8_t before = 0;
    for (int i = 0; i < 8; i++) {
        CHECK(channels_next_frame(frame_bytes) > 0);
        CHECK(frame_bytes[4] != before);
        before = frame_bytes[4];
    }
    channel_destroy(one);
    channel_destroy(two);
    CHECK(channels_next_frame(frame_bytes) == 0 && channel_first() == NULL);
}

static void rings_wrap(void)
{
    struct ring ring = { 0 };
    uint8_t in[3000], out[3000];
    unsigned written = 0, taken = 0;
    for (int round = 0; round < 200; round++) {
        size_t length = (size_t)(round * 37 % 2900 + 1);
        for (size_t i = 0; i < length; i++)
            in[i] = (uint8_t)(written + i);
        CHECK(ring_reserve(&ring, length) == 0);
        ring_append(&ring, in, length);
        written += (unsigned)length;
        size_t take = ring.used / 2;
        ring_copy(&ring, 0, out, take < sizeof(out) ? take : sizeof(out));
        for (size_t i = 0; i < take && i < sizeof(out); i++)
            CHECK(out[i] == (uint8_t)(taken + i));
        ring_consume(&ring, take);
        taken += (unsigned)take;
    }
    CHECK(ring.used == written - taken);
    ring_consume(&ring, ring.used);
    CHECK(ring.used == 0);
    ring_free(&ring);
}

int main(void)
{
    output_is_kept_until_acknowledged();
    acknowledged_before_the_connection_broke();
    credit_ends_at_the_window();
    input_in_order_once();
    input_beyond_its_credit_is_refused();
    channels_take_turns();
    rings_wrap();
    return 0;
}
