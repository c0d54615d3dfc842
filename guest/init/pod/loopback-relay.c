#include "pod/loopback-relay.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "pod/pod-namespaces.h"

enum { MAX_RELAYS = 64, MAX_CONNECTIONS = 512, BACKLOG = 128, BUFFER_BYTES = 16384 };

struct relay {
    struct source source; /* fd 0 and not watched: the place is free */
    struct sockaddr_storage target;
    socklen_t target_length;
    uint16_t port;
    bool needed;
};

struct side {
    struct source source;
    struct connection *connection;
    struct side *other;
    uint32_t events;
    bool ended; /* it sends no more */
    bool shut;  /* and the other side knows */
    size_t used, done;
    uint8_t bytes[BUFFER_BYTES]; /* of it, for the other */
};

struct connection {
    struct connection *next, **link;
    struct side client, server;
};

static struct relay relays[MAX_RELAYS];
static struct connection *connections;
static int connection_count;
static struct in_addr allowed;

/* ---- connections ---- */

static void close_connection(struct connection *connection)
{
    struct side *sides[2] = { &connection->client, &connection->server };
    /* One that both sides have ended is closed as any other; what is cut short looks cut short. */
    struct linger reset = { .l_onoff = 1 };
    bool whole = sides[0]->shut && sides[1]->shut;
    for (int i = 0; i < 2; i++) {
        loop_remove(&sides[i]->source);
        if (!whole)
            setsockopt(sides[i]->source.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        drop_fd(&sides[i]->source.fd);
    }
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    connection_count--;
    free(connection);
}

/* Moves what can be moved from `side` to its other. False when the connection is broken. */
static bool move(struct side *side)
{
    for (;;) {
        if (side->done < side->used) {
            ssize_t sent = send(side->other->source.fd, side->bytes + side->done, side->used - side->done,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0)
                return errno == EAGAIN || errno == ENOTCONN || errno == EINTR;
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
        ssize_t got = recv(side->source.fd, side->bytes, sizeof(side->bytes), MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == ENOTCONN || errno == EINTR;
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

static void side_ready(struct source *source, uint32_t events)
{
    struct side *side = CONTAINER_OF(source, struct side, source);
    struct connection *connection = side->connection;
    if ((events & EPOLLERR) || !move(side) || !move(side->other) || (side->shut && side->other->shut) || !watch(side) ||
        !watch(side->other))
        close_connection(connection);
}

static void open_connection(const struct relay *relay, int client)
{
    struct connection *connection = connection_count < MAX_CONNECTIONS ? calloc(1, sizeof(*connection)) : NULL;
    auto_fd server = connection != NULL ? pod_socket(relay->target.ss_family, SOCK_STREAM) : -1;
    if (server < 0 ||
        (connect(server, (const struct sockaddr *)&relay->target, relay->target_length) < 0 && errno != EINPROGRESS)) {
        struct linger reset = { .l_onoff = 1 };
        setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(client);
        free(connection);
        return;
    }
    connection->client = (struct side){ .source = { .fd = client, .ready = side_ready } };
    connection->server = (struct side){ .source = { .fd = take_fd(&server), .ready = side_ready } };
    connection->client.connection = connection->server.connection = connection;
    connection->client.other = &connection->server;
    connection->server.other = &connection->client;
    connection->next = connections;
    connection->link = &connections;
    if (connections != NULL)
        connections->link = &connection->next;
    connections = connection;
    connection_count++;
    if (!watch(&connection->client) || !watch(&connection->server))
        close_connection(connection);
}

/* ---- relays ---- */

static void relay_ready(struct source *source, uint32_t events)
{
    (void)events;
    const struct relay *relay = CONTAINER_OF(source, struct relay, source);
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    for (int fd; (fd = accept4(source->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;
         size = sizeof(peer)) {
        if (peer.sin_addr.s_addr == allowed.s_addr)
            open_connection(relay, fd);
        else
            close(fd);
    }
}

static void close_relay(struct relay *relay)
{
    loop_remove(&relay->source);
    drop_fd(&relay->source.fd);
    *relay = (struct relay){ 0 };
}

/* Any port: the one that is meant may be wanted for all addresses next. Returns 0 or -errno. */
static int listen_anywhere(struct relay *relay)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof(address);
    auto_fd fd = pod_socket(AF_INET, SOCK_STREAM);
    if (fd < 0)
        return fd;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    relay->port = ntohs(address.sin_port);
    relay->source = (struct source){ .fd = fd, .ready = relay_ready };
    int result = loop_add(&relay->source, EPOLLIN);
    if (result == 0)
        take_fd(&fd);
    return result;
}

void relays_begin(struct in_addr peer)
{
    allowed = peer;
    for (int i = 0; i < MAX_RELAYS; i++)
        relays[i].needed = false;
}

void relays_end(void)
{
    for (int i = 0; i < MAX_RELAYS; i++)
        if (relays[i].port != 0 && !relays[i].needed)
            close_relay(&relays[i]);
}

uint16_t relay_to(bool six, const uint8_t address[16], uint16_t port)
{
    struct sockaddr_storage target = { 0 };
    struct sockaddr_in *v4 = (struct sockaddr_in *)&target;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target;
    if (six) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        memcpy(&v6->sin6_addr, address, 16);
    } else {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        memcpy(&v4->sin_addr, address, 4);
    }
    struct relay *empty = NULL;
    for (int i = 0; i < MAX_RELAYS; i++) {
        struct relay *relay = &relays[i];
        if (relay->port != 0 && memcmp(&relay->target, &target, sizeof(target)) == 0) {
            relay->needed = true;
            return relay->port;
        }
        if (relay->port == 0 && empty == NULL)
            empty = relay;
    }
    if (empty == NULL)
        return 0;
    empty->target = target;
    empty->target_length = six ? sizeof(*v6) : sizeof(*v4);
    empty->needed = true;
    if (listen_anywhere(empty) < 0) {
        *empty = (struct relay){ 0 };
        return 0;
    }
    return empty->port;
}

bool is_relay(uint16_t port)
{
    for (int i = 0; i < MAX_RELAYS; i++)
        if (port != 0 && relays[i].port == port)
            return true;
    return false;
}

void relays_stop(void)
{
    for (int i = 0; i < MAX_RELAYS; i++)
        if (relays[i].port != 0)
            close_relay(&relays[i]);
    while (connections != NULL)
        close_connection(connections);
}
