#include "pod/stream-relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "pod/pod-namespaces.h"

/* MOVES_AT_ONCE: buffers that one side may move before all else has its turn again. Two processes that never make this one wait
 * would have the agent to themselves. */
enum { BUFFER_BYTES = 16384, MOVES_AT_ONCE = 4 };

/* What was read from it and not yet written to the other side. */
struct side {
    struct source source;
    struct stream_connection *connection;
    struct side *other;
    uint32_t events; /* watched now */
    bool ended;      /* it sends no more */
    bool shut;       /* and the other side knows */
    size_t used, done;
    uint8_t bytes[BUFFER_BYTES];
};

struct stream_connection {
    struct stream_connection *next, **link;
    struct stream_relay *relay;
    struct timer timer;
    struct side client, server;
};

/* So that what is cut short looks cut short. */
static void close_with_reset(int fd)
{
    struct linger reset = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
}

static void close_connection(struct stream_connection *connection)
{
    struct side *sides[2] = { &connection->client, &connection->server };
    bool whole = sides[0]->shut && sides[1]->shut;
    for (int i = 0; i < 2; i++) {
        loop_remove(&sides[i]->source);
        if (whole)
            close(sides[i]->source.fd);
        else
            close_with_reset(sides[i]->source.fd);
    }
    timer_stop(&connection->timer);
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    connection->relay->count--;
    free(connection);
}

static void connection_idle(struct timer *timer)
{
    close_connection(CONTAINER_OF(timer, struct stream_connection, timer));
}

static bool must_wait(int error)
{
    return error == EAGAIN || error == ENOTCONN || error == EINTR;
}

/* Moves what can be moved from `side` to its other. False when the connection is broken. */
static bool move(struct side *side)
{
    for (int moves = 0;;) {
        if (side->done < side->used) {
            ssize_t sent = send(side->other->source.fd, side->bytes + side->done, side->used - side->done,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0)
                return must_wait(errno);
            side->done += (size_t)sent;
            continue;
        }
        side->done = side->used = 0;
        if (side->ended) {
            if (!side->shut)
                shutdown(side->other->source.fd, SHUT_WR);
            side->shut = true;
            return true;
        }
        if (moves++ == MOVES_AT_ONCE)
            return true;
        ssize_t got = recv(side->source.fd, side->bytes, sizeof(side->bytes), MSG_DONTWAIT);
        if (got < 0)
            return must_wait(errno);
        side->ended = got == 0;
        side->used = (size_t)got;
    }
}

static bool watch(struct side *side)
{
    uint32_t events =
        (side->ended || side->used > 0 ? 0 : (uint32_t)EPOLLIN) | (side->other->used > 0 ? (uint32_t)EPOLLOUT : 0);
    if (events == side->events)
        return true;
    side->events = events;
    loop_remove(&side->source);
    return events == 0 || loop_add(&side->source, events) == 0;
}

static void begin_idling(struct stream_connection *connection)
{
    if (connection->relay->idle_ms > 0)
        timer_start(&connection->timer, connection->relay->idle_ms);
}

static void side_ready(struct source *source, uint32_t events)
{
    struct side *side = CONTAINER_OF(source, struct side, source);
    struct stream_connection *connection = side->connection;
    begin_idling(connection);
    if ((events & EPOLLERR) || !move(side) || !move(side->other) || (side->shut && side->other->shut) || !watch(side) ||
        !watch(side->other))
        close_connection(connection);
}

void stream_relay_open(struct stream_relay *relay, int client, const struct sockaddr_storage *target, socklen_t length)
{
    struct stream_connection *connection =
        relay->count < relay->max_connections ? calloc(1, sizeof(*connection)) : NULL;
    auto_fd server = connection != NULL ? pod_socket(target->ss_family, SOCK_STREAM) : -1;
    if (server < 0 || (connect(server, (const struct sockaddr *)target, length) < 0 && errno != EINPROGRESS)) {
        close_with_reset(client);
        free(connection);
        return;
    }
    connection->relay = relay;
    connection->timer.fire = connection_idle;
    connection->client.source = (struct source){ .fd = client, .ready = side_ready };
    connection->server.source = (struct source){ .fd = take_fd(&server), .ready = side_ready };
    connection->client.connection = connection->server.connection = connection;
    connection->client.other = &connection->server;
    connection->server.other = &connection->client;
    connection->next = relay->first;
    connection->link = &relay->first;
    if (relay->first != NULL)
        relay->first->link = &connection->next;
    relay->first = connection;
    relay->count++;
    begin_idling(connection);
    if (!watch(&connection->client) || !watch(&connection->server))
        close_connection(connection);
}

void stream_relay_close_all(struct stream_relay *relay)
{
    while (relay->first != NULL)
        close_connection(relay->first);
}
