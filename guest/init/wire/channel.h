/* Byte streams with offsets, a credit window, and retention until acknowledged. No I/O of its own: port.c moves frames,
 * stdio.c moves bytes. */
#ifndef CAISSON_CHANNEL_H
#define CAISSON_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ring.h"

struct channel;

/* What the user of a channel wants to hear. Either may be NULL. */
struct channel_user {
    void (*room)(void *owner);  /* there is credit again */
    void (*input)(void *owner); /* bytes, the end or a reset arrived */
};

struct channel {
    struct channel *next;
    uint32_t id;
    const struct channel_user *user;
    void *owner; /* NULL once its user has let go of it */
    bool has_output, has_input;

    struct ring out; /* from out_acked to out_acked + out.used */
    uint64_t out_acked;
    uint64_t out_sent;
    bool out_ended; /* the source is at its end */
    bool out_end_sent;
    bool out_reset; /* the daemon wants no more */

    struct ring in; /* received, not yet consumed */
    uint64_t in_received;
    uint64_t in_told; /* last offset acknowledged */
    bool in_ended;
    bool in_reset; /* the process wants no more */
};

/* Opens a channel. Returns NULL if the number is in use or memory is short. */
struct channel *channel_open(uint32_t id, bool has_output, bool has_input, const struct channel_user *user,
                             void *owner);
struct channel *channel_find(uint32_t id);
struct channel *channel_first(void);
/* The user lets go: its input is refused from now on, its output is kept until it is acknowledged. May free it. */
void channel_release(struct channel *channel);
/* Drops the channel at once. */
void channel_destroy(struct channel *channel);

/* Bytes the source may produce now. A reset channel swallows any amount. */
size_t channel_room(const struct channel *channel);
/* Takes bytes from a descriptor. As read(2), with -errno; -EAGAIN also without room. */
ssize_t channel_fill(struct channel *channel, int fd);
/* Takes bytes from memory; at most channel_room. Returns 0 or -errno. */
int channel_put(struct channel *channel, const void *bytes, size_t length);
void channel_end(struct channel *channel);
/* Whether the daemon has been sent everything, the end included, on this connection. */
bool channel_end_sent(uint32_t id);

/* Input: takes `length` bytes off the front. */
void channel_consume(struct channel *channel, size_t length);
/* The process reads no more: tells the daemon. */
void channel_refuse(struct channel *channel);

/* Frames from the daemon. Nonsense is ignored. */
void channel_on_data(uint32_t id, uint64_t offset, const uint8_t *bytes, size_t length);
void channel_on_ack(uint32_t id, uint64_t offset);
void channel_on_end(uint32_t id, uint64_t offset);
void channel_on_reset(uint32_t id);

/* A new connection: everything that is not acknowledged is sent again. */
void channels_restart(void);
/* Next control frame the channels want to send (ACK or RESET). False when there is none. */
bool channels_next_control(uint8_t *type, uint32_t *id, uint64_t *offset);
/* Builds the next DATA or EOF frame in `to` (MAX_FRAME_BYTES), channels in turn. Returns its size, 0 when none is due. */
size_t channels_next_frame(uint8_t *to);

#endif
