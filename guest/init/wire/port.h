/* The connection with the daemon: synchronisation, frames out in order of priority, frames in to their handlers. */
#ifndef CAISSON_PORT_H
#define CAISSON_PORT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/failure.h"

/* A request that will be answered. Its connection may be gone by then: the answer is dropped. */
struct request {
    uint32_t id;
    uint32_t connection;
};

/* Opens the port and joins the loop. `hello` makes the agent's HELLO (a new reference); `handle` gets every request. */
void port_open(const char *path, json_t *(*hello)(void), void (*handle)(struct request request, json_t *message));
/* Called when a daemon has greeted: what the last one wanted is of no use any more. */
void port_on_greeted(void (*callback)(void));
/* Sends what may be sent. Called by the loop before it blocks. */
void port_flush(void);

/* Steals `result`; NULL is an empty object. */
void respond(struct request request, json_t *result);
void respond_failure(struct request request, const struct failure *failure);

/* Queues an event; steals it. It is sent when everything of the output channels (0: none) has been sent, and again on
 * every connection until it is acknowledged. Returns its number. */
uint64_t event_post(json_t *event, uint32_t first_channel, uint32_t second_channel);
/* Called with the number of an acknowledged event: all up to it are. */
void event_on_acknowledged(void (*callback)(uint64_t seq));

#endif
