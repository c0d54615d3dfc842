#include "tasks/tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fields.h"
#include "core/ring.h"
#include "core/write-all.h"
#include "protocol/supervisor-tunnel.h"
#include "sockets/sockets.h"

#define MOST_CONNECTIONS 4096
#define MOST_ACCEPTED 512

struct connection {
    struct connection *next;
    uint32_t id;
    int fd;
    bool datagrams;
    bool connecting;
    bool input_ended;  /* the client sends no more; what waits is sent first */
    bool input_closed; /* and the server knows */
    bool output_ended; /* the server sends no more */
    bool dead;
    struct ring waiting; /* for the server */
    size_t credit;       /* bytes that the daemon takes now */
};

static struct connection *connections;
static unsigned connection_count;
static struct in_addr target;
static const int *listeners; /* of connections that are not the daemon's to open */
static int listener_count;
static uint32_t last_accepted;
static struct ring input; /* frames of the daemon */

/* ---- to the daemon ---- */

/* The daemon always reads: it has room for what it has allowed. */
static int send_frame(uint32_t id, uint32_t kind, const void *content, size_t length)
{
    uint8_t frame[TUNNEL_HEADER_BYTES + TUNNEL_DATA_BYTES];
    const uint32_t header[] = { id, kind, (uint32_t)length };
    memcpy(frame, header, sizeof(header));
    if (length > 0)
        memcpy(frame + sizeof(header), content, length);
    return write_all(STDOUT_FILENO, frame, sizeof(header) + length);
}

static int send_taken(const struct connection *connection, size_t length)
{
    uint32_t count = (uint32_t)length;
    return send_frame(connection->id, TUNNEL_TAKEN, &count, sizeof(count));
}

static int reset(struct connection *connection, int error)
{
    const char *reason = strerror(error);
    connection->dead = true;
    return send_frame(connection->id, TUNNEL_RESET, reason, strlen(reason));
}

/* ---- connections ---- */

static struct connection *find(uint32_t id)
{
    for (struct connection *each = connections; each != NULL; each = each->next)
        if (each->id == id && !each->dead)
            return each;
    return NULL;
}

/* Of this socket, in the list; NULL where there is no memory. */
static struct connection *add_connection(uint32_t id, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    *connection = (struct connection){ .next = connections, .id = id, .fd = fd, .credit = TUNNEL_WINDOW_BYTES };
    connections = connection;
    connection_count++;
    return connection;
}

/* A connection's socket, connecting; -errno. */
static int open_socket(uint16_t port, bool datagrams)
{
    const struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = target };
    int fd = socket(AF_INET, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static int open_connection(uint32_t id, const uint8_t *content, size_t length)
{
    uint16_t wanted[2];
    if (length != sizeof(wanted) || listener_count > 0 || find(id) != NULL)
        return -EPROTO;
    memcpy(wanted, content, sizeof(wanted));
    bool datagrams = wanted[1] == TUNNEL_UDP;
    int fd = connection_count < MOST_CONNECTIONS ? open_socket(wanted[0], datagrams) : -ENOMEM;
    struct connection *connection = fd < 0 ? NULL : add_connection(id, fd);
    if (connection == NULL) {
        const char *reason = strerror(fd < 0 ? -fd : ENOMEM);
        if (fd >= 0)
            close(fd);
        return send_frame(id, TUNNEL_RESET, reason, strlen(reason));
    }
    connection->datagrams = datagrams;
    connection->connecting = !datagrams;
    return datagrams ? send_frame(id, TUNNEL_OPENED, NULL, 0) : 0;
}

static int accept_connection(uint32_t index)
{
    int fd = accept4(listeners[index], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) /* who has gone again, or is another daemon's by now */
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
    do
        last_accepted++;
    while (last_accepted == 0 || find(last_accepted) != NULL);
    if (add_connection(last_accepted, fd) == NULL) {
        close(fd);
        return -ENOMEM;
    }
    return send_frame(last_accepted, TUNNEL_OPEN, &index, sizeof(index));
}

static void close_dead(void)
{
    for (struct connection **link = &connections; *link != NULL;) {
        struct connection *connection = *link;
        if (!connection->dead) {
            link = &connection->next;
            continue;
        }
        *link = connection->next;
        connection_count--;
        close(connection->fd);
        ring_free(&connection->waiting);
        free(connection);
    }
}

static int finish_connect(struct connection *connection)
{
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
        return reset(connection, error);
    connection->connecting = false;
    return send_frame(connection->id, TUNNEL_OPENED, NULL, 0);
}

/* ---- to the server ---- */

static int send_waiting(struct connection *connection)
{
    const uint8_t *bytes = NULL;
    size_t length;
    while (!connection->connecting && (length = ring_front(&connection->waiting, &bytes)) > 0) {
        ssize_t sent = send(connection->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (sent < 0)
            return reset(connection, errno);
        ring_consume(&connection->waiting, (size_t)sent);
        int result = send_taken(connection, (size_t)sent);
        if (result < 0)
            return result;
    }
    if (connection->input_ended && !connection->input_closed && !connection->connecting &&
        connection->waiting.used == 0) {
        connection->input_closed = true;
        shutdown(connection->fd, SHUT_WR);
        if (connection->output_ended)
            connection->dead = true;
    }
    return 0;
}

static int take_data(struct connection *connection, const uint8_t *content, size_t length)
{
    if (connection->datagrams) {
        /* lost, where there is no room, or nobody */
        (void)send(connection->fd, content, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        return 0;
    }
    if (connection->input_ended || connection->waiting.used + length > TUNNEL_WINDOW_BYTES)
        return -EPROTO;
    if (ring_reserve(&connection->waiting, length) < 0)
        return reset(connection, ENOMEM);
    ring_append(&connection->waiting, content, length);
    return send_waiting(connection);
}

/* ---- from the server ---- */

static int read_server(struct connection *connection)
{
    uint8_t bytes[TUNNEL_DATA_BYTES];
    size_t most = connection->credit < sizeof(bytes) ? connection->credit : sizeof(bytes);
    ssize_t got = recv(connection->fd, bytes, connection->datagrams ? sizeof(bytes) : most, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    /* of datagrams it tells that nobody is there, which the next one may change */
    if (got < 0 && connection->datagrams)
        return 0;
    if (got < 0)
        return reset(connection, errno);
    if (got == 0 && !connection->datagrams) {
        connection->output_ended = true;
        if (connection->input_closed)
            connection->dead = true;
        return send_frame(connection->id, TUNNEL_END, NULL, 0);
    }
    if (!connection->datagrams)
        connection->credit -= (size_t)got;
    return send_frame(connection->id, TUNNEL_DATA, bytes, (size_t)got);
}

/* ---- frames ---- */

static int take_frame(uint32_t id, uint32_t kind, const uint8_t *content, size_t length)
{
    struct connection *connection = find(id);
    uint32_t count;
    if (kind == TUNNEL_OPEN)
        return open_connection(id, content, length);
    if (connection == NULL)
        return 0; /* it was over before the daemon knew */
    switch (kind) {
    case TUNNEL_DATA:
        return take_data(connection, content, length);
    case TUNNEL_END:
        connection->input_ended = true;
        return send_waiting(connection);
    case TUNNEL_RESET:
        connection->dead = true;
        return 0;
    case TUNNEL_TAKEN:
        if (length != sizeof(count))
            return -EPROTO;
        memcpy(&count, content, sizeof(count));
        connection->credit += count;
        return connection->credit > TUNNEL_WINDOW_BYTES ? -EPROTO : 0;
    default:
        return -EPROTO;
    }
}

/* What came of the session. -ECANCELED: it is over. */
static int take_input(void)
{
    uint8_t content[TUNNEL_DATA_BYTES];
    if (ring_reserve(&input, TUNNEL_DATA_BYTES) < 0)
        return -ENOMEM;
    ssize_t got = ring_read_from(&input, STDIN_FILENO, TUNNEL_DATA_BYTES);
    if (got == -EINTR || got == -EAGAIN)
        return 0;
    if (got <= 0)
        return got < 0 ? (int)got : -ECANCELED;
    for (int result = 0; result == 0;) {
        uint32_t header[3];
        if (input.used < sizeof(header))
            return 0;
        ring_copy(&input, 0, header, sizeof(header));
        if (header[2] > TUNNEL_DATA_BYTES)
            return -EPROTO;
        if (input.used < sizeof(header) + header[2])
            return 0;
        ring_copy(&input, sizeof(header), content, header[2]);
        ring_consume(&input, sizeof(header) + header[2]);
        result = take_frame(header[0], header[1], content, header[2]);
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- the loop ---- */

static short wanted_events(const struct connection *connection)
{
    if (connection->connecting)
        return POLLOUT;
    bool reads = !connection->output_ended && (connection->credit > 0 || connection->datagrams);
    return (short)((reads ? POLLIN : 0) | (connection->waiting.used > 0 ? POLLOUT : 0));
}

static int serve_connection(struct connection *connection, short events)
{
    int result = 0;
    if (events == 0 || connection->dead)
        return 0;
    if (connection->connecting)
        result = finish_connect(connection);
    if (result == 0 && !connection->dead)
        result = send_waiting(connection);
    bool reads = (wanted_events(connection) & POLLIN) != 0;
    if (result == 0 && !connection->dead && reads && (events & (POLLIN | POLLHUP | POLLERR)) != 0)
        result = read_server(connection);
    return result;
}

/* Waits for something to do, and does it. */
static int turn(struct pollfd *polled)
{
    nfds_t count = 1;
    polled[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    for (int i = 0; i < listener_count; i++)
        polled[count++] =
            (struct pollfd){ .fd = connection_count < MOST_ACCEPTED ? listeners[i] : -1, .events = POLLIN };
    for (const struct connection *each = connections; each != NULL; each = each->next) {
        short events = wanted_events(each);
        /* an end that was seen is told again and again otherwise */
        polled[count++] = (struct pollfd){ .fd = events == 0 ? -1 : each->fd, .events = events };
    }
    if (poll(polled, count, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    nfds_t at = 1 + (nfds_t)listener_count;
    int result = 0;
    for (struct connection *each = connections; each != NULL && result == 0; each = each->next)
        result = serve_connection(each, polled[at++].revents);
    if (result == 0 && polled[0].revents != 0)
        result = take_input();
    for (int i = 0; i < listener_count && result == 0; i++)
        if (polled[1 + i].revents != 0)
            result = accept_connection((uint32_t)i);
    close_dead();
    return result;
}

static int carry(char *message, size_t message_size)
{
    static struct pollfd polled[1 + MOST_SOCKETS + MOST_CONNECTIONS];
    signal(SIGPIPE, SIG_IGN);
    int result;
    while ((result = turn(polled)) == 0)
        ;
    if (result == -ECANCELED || result == -EPIPE)
        return 0;
    snprintf(message, message_size, "the tunnel broke: %s", strerror(-result));
    return result;
}

int tunnel_run(const json_t *params, char *message, size_t message_size)
{
    struct failure failure;
    const char *address;
    if (field_string(params, "address", &address, &failure) < 0 || inet_pton(AF_INET, address, &target) != 1) {
        snprintf(message, message_size, "a tunnel needs an address");
        return -EINVAL;
    }
    return carry(message, message_size);
}

int sockets_run(const json_t *params, char *message, size_t message_size)
{
    (void)params;
    listener_count = sockets_listeners(&listeners);
    if (listener_count == 0) {
        snprintf(message, message_size, "the container has no sockets");
        return -ENOENT;
    }
    return carry(message, message_size);
}
