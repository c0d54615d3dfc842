/* Byte streams with offsets, a credit window, and retention until acknowledged. */
#include "wire/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/frame.h"

/* One port write takes at most 32 KiB in the kernel: a frame that fits costs one. */
#define DATA_BYTES (32768 - FRAME_HEADER_BYTES - FRAME_TRAILER_BYTES - 8)
/* Credit is given back in steps, not for every write of a few bytes. */
#define ACK_STEP (CHANNEL_WINDOW_BYTES / 4)

static struct channel *channels;
static struct channel *turn; /* whose output was sent last */

/* RESET frames for channels that don't exist (any more); a full list forgets the oldest, the daemon would ask again. */
static uint32_t refused[16];
static size_t refused_count;

struct channel *channel_first(void)
{
    return channels;
}

struct channel *channel_find(uint32_t id)
{
    for (struct channel *channel = channels; channel != NULL; channel = channel->next)
        if (channel->id == id)
            return channel;
    return NULL;
}

struct channel *channel_open(uint32_t id, bool has_output, bool has_input, const struct channel_user *user, void *owner)
{
    if (id == 0 || channel_find(id) != NULL)
        return NULL;
    struct channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL)
        return NULL;
    *channel = (struct channel){
        .next = channels,
        .id = id,
        .user = user,
        .owner = owner,
        .has_output = has_output,
        .has_input = has_input,
    };
    channels = channel;
    return channel;
}

void channel_destroy(struct channel *channel)
{
    for (struct channel **link = &channels; *link != NULL; link = &(*link)->next)
        if (*link == channel) {
            *link = channel->next;
            break;
        }
    if (turn == channel)
        turn = NULL;
    ring_free(&channel->out);
    ring_free(&channel->in);
    free(channel);
}

static bool output_finished(const struct channel *channel)
{
    return !channel->has_output || channel->out_reset ||
           (channel->out_ended && channel->out_end_sent && channel->out.used == 0);
}

static void destroy_if_finished(struct channel *channel)
{
    if (channel->owner == NULL && output_finished(channel))
        channel_destroy(channel);
}

static void refuse_id(uint32_t id)
{
    for (size_t i = 0; i < refused_count; i++)
        if (refused[i] == id)
            return;
    const size_t capacity = sizeof(refused) / sizeof(refused[0]);
    if (refused_count == capacity)
        memmove(refused, refused + 1, --refused_count * sizeof(refused[0]));
    refused[refused_count++] = id;
}

void channel_release(struct channel *channel)
{
    channel->owner = NULL;
    channel->user = NULL;
    if (channel->has_input)
        channel_refuse(channel);
    if (channel->has_output && !channel->out_ended)
        channel_end(channel);
    destroy_if_finished(channel);
}

size_t channel_room(const struct channel *channel)
{
    if (channel->out_reset)
        return CHANNEL_WINDOW_BYTES;
    return channel->out_ended ? 0 : CHANNEL_WINDOW_BYTES - channel->out.used;
}

ssize_t channel_fill(struct channel *channel, int fd)
{
    static uint8_t scratch[16384];
    if (channel->out_reset) {
        ssize_t got = read(fd, scratch, sizeof(scratch));
        return got < 0 ? -errno : got;
    }
    size_t room = channel_room(channel);
    if (room == 0)
        return -EAGAIN;
    /* Small outputs are the rule: memory grows only when a read fills what there is. */
    size_t free_bytes = channel->out.capacity - channel->out.used;
    if (free_bytes == 0) {
        int result = ring_reserve(&channel->out, 1);
        if (result < 0)
            return result;
    }
    return ring_read_from(&channel->out, fd, room);
}

int channel_put(struct channel *channel, const void *bytes, size_t length)
{
    if (channel->out_reset)
        return 0;
    if (length > channel_room(channel))
        return -EAGAIN;
    int result = ring_reserve(&channel->out, length);
    if (result == 0)
        ring_append(&channel->out, bytes, length);
    return result;
}

void channel_end(struct channel *channel)
{
    channel->out_ended = true;
}

bool channel_end_sent(uint32_t id)
{
    const struct channel *channel = channel_find(id);
    return channel == NULL || !channel->has_output || channel->out_reset || channel->out_end_sent;
}

void channel_consume(struct channel *channel, size_t length)
{
    ring_consume(&channel->in, length);
}

void channel_refuse(struct channel *channel)
{
    ring_free(&channel->in);
    if (channel->in_reset)
        return;
    channel->in_reset = true;
    if (!channel->in_ended)
        refuse_id(channel->id);
}

void channel_on_data(uint32_t id, uint64_t offset, const uint8_t *bytes, size_t length)
{
    struct channel *channel = channel_find(id);
    if (channel == NULL || !channel->has_input || channel->in_reset) {
        refuse_id(id);
        return;
    }
    if (channel->in_ended || offset > channel->in_received || offset + length <= channel->in_received)
        return; /* a gap can't happen on an ordered connection; a repetition can */
    size_t known = (size_t)(channel->in_received - offset);
    bytes += known;
    length -= known;
    if (channel->in.used + length > CHANNEL_WINDOW_BYTES || ring_reserve(&channel->in, length) < 0)
        return; /* beyond its credit: the sender keeps what isn't acknowledged */
    ring_append(&channel->in, bytes, length);
    channel->in_received += length;
    if (channel->user != NULL && channel->user->input != NULL)
        channel->user->input(channel->owner);
}

void channel_on_ack(uint32_t id, uint64_t offset)
{
    struct channel *channel = channel_find(id);
    if (channel == NULL || !channel->has_output || channel->out_reset)
        return;
    if (offset <= channel->out_acked || offset > channel->out_acked + channel->out.used)
        return;
    ring_consume(&channel->out, (size_t)(offset - channel->out_acked));
    channel->out_acked = offset;
    if (channel->out_sent < offset) /* of an earlier connection, whose acknowledgement was lost */
        channel->out_sent = offset;
    if (channel->owner == NULL)
        destroy_if_finished(channel);
    else if (channel->user != NULL && channel->user->room != NULL)
        channel->user->room(channel->owner);
}

void channel_on_end(uint32_t id, uint64_t offset)
{
    struct channel *channel = channel_find(id);
    if (channel == NULL || !channel->has_input || channel->in_ended || offset != channel->in_received)
        return;
    channel->in_ended = true;
    if (channel->user != NULL && channel->user->input != NULL)
        channel->user->input(channel->owner);
}

void channel_on_reset(uint32_t id)
{
    struct channel *channel = channel_find(id);
    if (channel == NULL || !channel->has_output || channel->out_reset)
        return;
    channel->out_reset = true;
    ring_free(&channel->out);
    if (channel->owner == NULL)
        destroy_if_finished(channel);
    else if (channel->user != NULL && channel->user->room != NULL)
        channel->user->room(channel->owner);
}

void channels_restart(void)
{
    refused_count = 0;
    for (struct channel *channel = channels; channel != NULL; channel = channel->next) {
        channel->out_sent = channel->out_acked;
        channel->out_end_sent = false;
        channel->in_told = 0;
        if (channel->has_input && channel->in_reset && !channel->in_ended)
            refuse_id(channel->id);
    }
}

bool channels_next_control(uint8_t *type, uint32_t *id, uint64_t *offset)
{
    if (refused_count > 0) {
        *type = FRAME_RESET;
        *id = refused[0];
        memmove(refused, refused + 1, --refused_count * sizeof(refused[0]));
        return true;
    }
    for (struct channel *channel = channels; channel != NULL; channel = channel->next) {
        if (!channel->has_input || channel->in_reset)
            continue;
        uint64_t consumed = channel->in_received - channel->in.used;
        if (consumed == channel->in_told || (channel->in.used > 0 && consumed - channel->in_told < ACK_STEP))
            continue;
        channel->in_told = consumed;
        *type = FRAME_ACK;
        *id = channel->id;
        *offset = consumed;
        return true;
    }
    return false;
}

static size_t next_frame_of(struct channel *channel, uint8_t *to)
{
    if (!channel->has_output || channel->out_reset)
        return 0;
    uint64_t end = channel->out_acked + channel->out.used;
    if (channel->out_sent < end) {
        size_t offset = (size_t)(channel->out_sent - channel->out_acked);
        size_t length = channel->out.used - offset;
        if (length > DATA_BYTES)
            length = DATA_BYTES;
        put_u64(to + FRAME_HEADER_BYTES, channel->out_sent);
        ring_copy(&channel->out, offset, to + FRAME_HEADER_BYTES + 8, length);
        channel->out_sent += length;
        return frame_seal(to, FRAME_DATA, 0, channel->id, 8 + length);
    }
    if (channel->out_ended && !channel->out_end_sent) {
        channel->out_end_sent = true;
        put_u64(to + FRAME_HEADER_BYTES, end);
        return frame_seal(to, FRAME_EOF, 0, channel->id, 8);
    }
    return 0;
}

size_t channels_next_frame(uint8_t *to)
{
    struct channel *first = turn != NULL && turn->next != NULL ? turn->next : channels;
    struct channel *channel = first;
    while (channel != NULL) {
        struct channel *next = channel->next != NULL ? channel->next : channels;
        turn = channel;
        size_t size = next_frame_of(channel, to);
        if (size > 0) {
            if (channel->out_end_sent)
                destroy_if_finished(channel);
            return size;
        }
        if (next == first)
            break;
        channel = next;
    }
    return 0;
}
