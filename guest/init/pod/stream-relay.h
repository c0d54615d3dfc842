/* Carries bytes both ways between stream sockets of the Pod's network namespace. */
#ifndef CAISSON_STREAM_RELAY_H
#define CAISSON_STREAM_RELAY_H

#include <stdint.h>
#include <sys/socket.h>

struct stream_connection;

/* Connections of one kind. All but the first two is for stream-relay.c. */
struct stream_relay {
    int max_connections;
    int64_t idle_ms; /* one on which nothing moves for that long is closed; 0: never */
    int count;
    struct stream_connection *first;
};

/* Connects the client to this address, until both have ended. The descriptor is taken; it is closed when there can be no
 * connection. */
void stream_relay_open(struct stream_relay *relay, int client, const struct sockaddr_storage *target, socklen_t length);
void stream_relay_close_all(struct stream_relay *relay);

#endif
