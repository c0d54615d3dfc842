/* sessions: connections of daemons, by way of `ctl`, over a socket that only root may use.
 *
 * One connection: frames both ways. What is not sent waits in a queue that its owner must not fill beyond its room. */
#ifndef CAISSON_SESSION_H
#define CAISSON_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/failure.h"
#include "core/loop.h"
#include "core/ring.h"
#include "protocol/supervisor.h"

struct session;

struct session_events {
    /* False: it can't be taken now, and comes again with session_resume. Those of requests are always taken. */
    bool (*frame)(struct session *session, uint8_t kind, const uint8_t *content, size_t length);
    /* There is room again. */
    void (*room)(struct session *session);
    /* It is over; freed after this. */
    void (*closed)(struct session *session);
};

struct session {
    struct session *next;
    struct source source;
    struct ring in, out;
    const struct session_events *events;
    void *owner;                   /* of whoever serves it */
    uint32_t wanted;               /* of epoll */
    struct waiting_frame *waiting; /* input that can't be taken yet, the oldest first */
    size_t waiting_bytes;
    bool input_over; /* the other side sends no more */
    bool finishing;
    bool dead; /* to be freed by the sweep */
    int64_t heard_ms;
};

/* Listens; `events` serve every session until somebody else takes it. 0 or -errno. */
int sessions_open(const char *path, const struct session_events *events);
struct session *session_first(void);
/* Bytes that may be sent at present. */
size_t session_room(const struct session *session);
void session_send(struct session *session, uint8_t kind, const void *content, size_t length);
/* Takes the value. */
void session_send_json(struct session *session, uint8_t kind, json_t *value);
void session_send_failure(struct session *session, const struct failure *failure);
/* Closes it once all is sent. */
void session_finish(struct session *session);
/* Its frames can be taken again. */
void session_resume(struct session *session);
/* Frees what is over. Between two turns of the loop. */
void sessions_sweep(void);

#endif
