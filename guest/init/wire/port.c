/* wire: how daemon and agent talk: frames of protocol/agent.h, byte streams with credit, and the one port that carries them.
 *
 * The connection with the daemon: synchronisation, frames out in order of priority, frames in to their handlers. */
#include "wire/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/loop.h"
#include "wire/channel.h"
#include "wire/frame.h"

struct packet {
    struct packet *next;
    size_t length;
    uint8_t bytes[];
};

struct event {
    struct event *next;
    uint64_t seq;
    json_t *body;
    uint32_t channels[2];
    bool sent;
};

/* A request whose frames are still coming. */
struct partial {
    struct partial *next;
    uint32_t id;
    size_t length;
    char *bytes;
};

static struct source port = { .fd = -1 };
static struct parser parser;
static json_t *(*make_hello)(void);
static void (*handle_request)(struct request request, json_t *message);
static void (*on_acknowledged)(uint64_t seq);
static void (*on_greeted)(void);

static uint32_t connection; /* counts synchronisations */
static bool synchronised;   /* control frames may be sent */
static bool greeted;        /* the daemon's HELLO was right: events and data may be sent */
static bool writable;

static struct packet *packets, **last_packet = &packets;
static struct event *events, **last_event = &events;
static uint64_t next_seq = 1;
static struct partial *partials;

/* The frame being written, from `outgoing_done` on. */
static uint8_t outgoing[MAX_FRAME_BYTES];
static size_t outgoing_length, outgoing_done;

/* ---- out ---- */

static void queue_bytes(const void *bytes, size_t length)
{
    struct packet *packet = malloc(sizeof(*packet) + length);
    if (packet == NULL) {
        log_line("no memory for a frame of %zu bytes", length);
        return;
    }
    packet->next = NULL;
    packet->length = length;
    memcpy(packet->bytes, bytes, length);
    *last_packet = packet;
    last_packet = &packet->next;
}

static void queue_frame(uint8_t type, uint8_t flags, uint32_t channel, const void *payload, size_t length)
{
    struct packet *packet = malloc(sizeof(*packet) + length + FRAME_HEADER_BYTES + FRAME_TRAILER_BYTES);
    if (packet == NULL) {
        log_line("no memory for a frame of %zu bytes", length);
        return;
    }
    packet->next = NULL;
    packet->length = frame_write(packet->bytes, type, flags, channel, payload, length);
    *last_packet = packet;
    last_packet = &packet->next;
}

static void queue_json(uint8_t type, uint32_t channel, const json_t *message)
{
    auto_free char *text = json_dumps(message, JSON_COMPACT);
    if (text == NULL) {
        log_line("a message could not be written as JSON");
        return;
    }
    size_t length = strlen(text);
    for (size_t done = 0;;) {
        size_t part = length - done > MAX_PAYLOAD_BYTES ? MAX_PAYLOAD_BYTES : length - done;
        bool more = done + part < length;
        queue_frame(type, more ? FRAME_FLAG_MORE : 0, channel, text + done, part);
        done += part;
        if (!more)
            break;
    }
}

static void drop_packets(void)
{
    while (packets != NULL) {
        struct packet *packet = packets;
        packets = packet->next;
        free(packet);
    }
    last_packet = &packets;
    outgoing_length = outgoing_done = 0;
}

void respond(struct request request, json_t *result)
{
    auto_json body = result != NULL ? result : json_object();
    if (!synchronised || request.connection != connection)
        return;
    auto_json message = json_pack("{s:O}", "result", body);
    queue_json(FRAME_RESPONSE, request.id, message);
}

void respond_failure(struct request request, const struct failure *failure)
{
    if (!synchronised || request.connection != connection)
        return;
    /* What an image's names put into the message may not be UTF-8; jansson refuses such strings. */
    auto_json text = json_string(failure->message);
    if (text == NULL) {
        char safe[sizeof(failure->message)];
        for (size_t i = 0; i < sizeof(safe); i++)
            safe[i] = (unsigned char)failure->message[i] < 0x80 ? failure->message[i] : '?';
        safe[sizeof(safe) - 1] = '\0';
        text = json_string(safe);
    }
    auto_json message = json_pack("{s:{s:s, s:s, s:O}}", "error", "code", code_name(failure->code), "phase",
                                  phase_name(failure->phase), "message", text);
    queue_json(FRAME_RESPONSE, request.id, message);
}

uint64_t event_post(json_t *body, uint32_t first_channel, uint32_t second_channel)
{
    struct event *event = calloc(1, sizeof(*event));
    if (event == NULL) {
        json_decref(body);
        return 0;
    }
    event->seq = next_seq++;
    event->body = body;
    event->channels[0] = first_channel;
    event->channels[1] = second_channel;
    json_object_set_new(body, "seq", json_integer((json_int_t)event->seq));
    *last_event = event;
    last_event = &event->next;
    return event->seq;
}

void event_on_acknowledged(void (*callback)(uint64_t seq))
{
    on_acknowledged = callback;
}

/* Events keep their order: one that waits for its channels holds those behind it. That is short, since what a channel
 * has yet to send of an ended stream always lies within its credit. */
static bool queue_next_event(void)
{
    for (struct event *event = events; event != NULL; event = event->next) {
        if (event->sent)
            continue;
        for (int i = 0; i < 2; i++)
            if (event->channels[i] != 0 && !channel_end_sent(event->channels[i]))
                return false;
        event->sent = true;
        queue_json(FRAME_EVENT, 0, event->body);
        return true;
    }
    return false;
}

static void acknowledge_events(uint64_t seq)
{
    while (events != NULL && events->seq <= seq && events->sent) {
        struct event *event = events;
        events = event->next;
        json_decref(event->body);
        free(event);
    }
    if (events == NULL)
        last_event = &events;
    if (on_acknowledged != NULL)
        on_acknowledged(seq);
}

/* Puts the next frame into `outgoing`. False when nothing is due. */
static bool choose_frame(void)
{
    outgoing_done = 0;
    outgoing_length = 0;
    uint8_t type;
    uint32_t id;
    uint64_t offset = 0;
    if (packets == NULL && greeted && channels_next_control(&type, &id, &offset)) {
        uint8_t payload[8];
        put_u64(payload, offset);
        outgoing_length = frame_write(outgoing, type, 0, id, payload, type == FRAME_RESET ? 0 : sizeof(payload));
        return true;
    }
    if (packets == NULL && greeted)
        queue_next_event();
    if (packets != NULL) {
        struct packet *packet = packets;
        packets = packet->next;
        if (packets == NULL)
            last_packet = &packets;
        memcpy(outgoing, packet->bytes, packet->length);
        outgoing_length = packet->length;
        free(packet);
        return true;
    }
    if (greeted)
        outgoing_length = channels_next_frame(outgoing);
    return outgoing_length > 0;
}

void port_flush(void)
{
    while (writable && synchronised) {
        if (outgoing_done == outgoing_length && !choose_frame())
            return;
        ssize_t done = write(port.fd, outgoing + outgoing_done, outgoing_length - outgoing_done);
        if (done > 0)
            outgoing_done += (size_t)done;
        else if (errno != EINTR)
            writable = false; /* until the port says otherwise */
    }
}

/* ---- in ---- */

static void drop_partials(void)
{
    while (partials != NULL) {
        struct partial *partial = partials;
        partials = partial->next;
        free(partial->bytes);
        free(partial);
    }
}

static void synchronise(const uint8_t *nonce)
{
    connection++;
    drop_packets();
    drop_partials();
    synchronised = true;
    greeted = false;
    uint8_t answer[SYNC_MAGIC_BYTES + SYNC_NONCE_BYTES];
    memcpy(answer, SYNC_MAGIC, SYNC_MAGIC_BYTES);
    memcpy(answer + SYNC_MAGIC_BYTES, nonce, SYNC_NONCE_BYTES);
    queue_bytes(answer, sizeof(answer));
    auto_json hello = make_hello();
    queue_json(FRAME_HELLO, 0, hello);
}

void port_on_greeted(void (*callback)(void))
{
    on_greeted = callback;
}

static void greet(const struct frame *frame)
{
    auto_json hello = json_loadb((const char *)frame->payload, frame->length, 0, NULL);
    json_int_t version = json_integer_value(json_object_get(hello, "version"));
    if (version < OLDEST_PROTOCOL_VERSION || version > PROTOCOL_VERSION) {
        log_line("the daemon speaks version %lld of the protocol, not %d to %d", (long long)version,
                 OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION);
        return;
    }
    greeted = true;
    if (on_greeted != NULL)
        on_greeted();
    channels_restart();
    for (struct event *event = events; event != NULL; event = event->next)
        event->sent = false;
}

static void refuse_request(uint32_t id, int code, const char *why)
{
    struct failure failure;
    fail(&failure, code, PHASE_REQUEST, "%s", why);
    respond_failure((struct request){ id, connection }, &failure);
}

static void deliver(uint32_t id, const char *bytes, size_t length)
{
    auto_json message = json_loadb(bytes, length, 0, NULL);
    if (!json_is_object(message))
        refuse_request(id, EINVAL, "the request is not a JSON object");
    else
        handle_request((struct request){ id, connection }, message);
}

/* Collects a request of several frames. A part of one that was refused as too long finds it again and is dropped. */
static void take_request(const struct frame *frame)
{
    struct partial **link = &partials;
    while (*link != NULL && (*link)->id != frame->channel)
        link = &(*link)->next;
    struct partial *partial = *link;
    bool more = (frame->flags & FRAME_FLAG_MORE) != 0;
    if (partial == NULL && !more) {
        deliver(frame->channel, (const char *)frame->payload, frame->length);
        return;
    }
    if (partial == NULL) {
        partial = calloc(1, sizeof(*partial));
        if (partial == NULL)
            return;
        partial->id = frame->channel;
        *link = partial;
    }
    size_t length = partial->length + frame->length;
    char *bytes = length <= MAX_MESSAGE_BYTES ? realloc(partial->bytes, length) : NULL;
    if (bytes != NULL) {
        memcpy(bytes + partial->length, frame->payload, frame->length);
        partial->bytes = bytes;
        partial->length = length;
    } else {
        free(partial->bytes);
        partial->bytes = NULL;
        partial->length = MAX_MESSAGE_BYTES; /* stays too long */
    }
    if (more)
        return;
    *link = partial->next;
    if (partial->bytes != NULL)
        deliver(partial->id, partial->bytes, partial->length);
    else
        refuse_request(partial->id, EMSGSIZE, "the request is too long");
    free(partial->bytes);
    free(partial);
}

static void take_frame(const struct frame *frame)
{
    if (frame->type == FRAME_HELLO) {
        greet(frame);
        return;
    }
    if (!greeted)
        return;
    switch (frame->type) {
    case FRAME_REQUEST:
        take_request(frame);
        return;
    case FRAME_DATA:
        if (frame->length >= 8)
            channel_on_data(frame->channel, get_u64(frame->payload), frame->payload + 8, frame->length - 8);
        return;
    case FRAME_RESET:
        channel_on_reset(frame->channel);
        return;
    default:
        break;
    }
    if (frame->length != 8)
        return;
    uint64_t value = get_u64(frame->payload);
    if (frame->type == FRAME_EVENT_ACK)
        acknowledge_events(value);
    else if (frame->type == FRAME_ACK)
        channel_on_ack(frame->channel, value);
    else if (frame->type == FRAME_EOF)
        channel_on_end(frame->channel, value);
}

static void read_port(void)
{
    for (;;) {
        uint8_t *room;
        size_t length = parser_room(&parser, &room);
        ssize_t got = read(port.fd, room, length);
        if (got <= 0) {
            if (got < 0 && errno == EINTR)
                continue;
            return; /* empty, or nobody at the other end */
        }
        parser_filled(&parser, (size_t)got);
        struct frame frame;
        for (enum parsed parsed; (parsed = parser_next(&parser, &frame)) != PARSED_NOTHING;) {
            if (parsed == PARSED_SYNC)
                synchronise(frame.payload);
            else
                take_frame(&frame);
        }
        /* Answers need not wait until everything is read. */
        port_flush();
    }
}

static void port_ready(struct source *source, uint32_t ready)
{
    (void)source;
    /* A hang-up is no news: the kernel may tell of the last daemon's after the next one's bytes are here. Only a new
     * synchronisation ends a connection; until then writes are refused, and nothing is queued that could grow. */
    if (ready & EPOLLOUT)
        writable = true;
    read_port();
}

void port_open(const char *path, json_t *(*hello)(void), void (*handle)(struct request request, json_t *message))
{
    make_hello = hello;
    handle_request = handle;
    parser_reset(&parser);
    port.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (port.fd < 0)
        die("cannot open %s: %s", path, strerror(errno));
    port.ready = port_ready;
    writable = true;
    if (loop_add(&port, EPOLLIN | EPOLLOUT | EPOLLET) < 0)
        die("cannot watch %s: %s", path, strerror(errno));
}
