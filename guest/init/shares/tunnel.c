/* Unix sockets of the host inside the VM, a channel for each connection. */
#include "shares/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/loop.h"
#include "protocol/agent.h"
#include "wire/channel.h"

enum {
    BACKLOG = 128,
    /* The daemon's own limit is the same; one beyond it is closed at once. */
    MAX_CONNECTIONS = 512,
};

struct listener {
    struct source source;
    struct listener *next;
    char *name;
};

struct connection {
    struct source source;
    struct channel *channel;
    bool read_ended;  /* the client sends no more, and the channel knows */
    bool write_ended; /* the daemon sends no more, and the client knows; or the client reads no more */
};

static struct listener *listeners;
static int connection_count;
static uint32_t last_channel;

/* ---- a connection ---- */

static void close_connection(struct connection *connection)
{
    loop_remove(&connection->source);
    drop_fd(&connection->source.fd);
    channel_release(connection->channel);
    connection_count--;
    free(connection);
}

static void take_output(struct connection *connection)
{
    while (!connection->read_ended && channel_room(connection->channel) > 0) {
        ssize_t got = channel_fill(connection->channel, connection->source.fd);
        if (got == -EINTR)
            continue;
        if (got == -EAGAIN || got == -ENOMEM)
            return;
        if (got <= 0) { /* ECONNRESET: what it had sent before is in the channel */
            connection->read_ended = true;
            channel_end(connection->channel);
        }
    }
}

static void give_input(struct connection *connection)
{
    struct channel *channel = connection->channel;
    const uint8_t *bytes = NULL;
    size_t length;
    while (!connection->write_ended && (length = ring_front(&channel->in, &bytes)) > 0) {
        ssize_t done = write(connection->source.fd, bytes, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN)
            return;
        if (done <= 0) { /* EPIPE: the client is gone or reads no more */
            connection->write_ended = true;
            channel_refuse(channel);
            return;
        }
        channel_consume(channel, (size_t)done);
    }
    if (!connection->write_ended && channel->in_ended) {
        connection->write_ended = true;
        shutdown(connection->source.fd, SHUT_WR);
    }
}

/* Waits for what can go on now. Neither direction: for the client's end only, which epoll always tells of; but not while
 * there are bytes that have no room, since that would be told over and over. */
static void watch(struct connection *connection)
{
    bool room = channel_room(connection->channel) > 0;
    uint32_t events = 0;
    if (!connection->read_ended && room)
        events |= EPOLLIN;
    if (!connection->write_ended && connection->channel->in.used > 0)
        events |= EPOLLOUT;
    if (events == 0 && !connection->read_ended)
        loop_remove(&connection->source);
    else if (connection->source.watched)
        loop_change(&connection->source, events);
    else
        loop_add(&connection->source, events);
}

static void move_bytes(struct connection *connection, bool hung_up)
{
    if (connection->channel->out_reset) /* the host's end is gone; what it had sent before still goes to the client */
        connection->read_ended = true;
    take_output(connection);
    give_input(connection);
    if (connection->read_ended && (connection->write_ended || hung_up))
        close_connection(connection);
    else
        watch(connection);
}

static void connection_ready(struct source *source, uint32_t events)
{
    move_bytes(CONTAINER_OF(source, struct connection, source), (events & (EPOLLHUP | EPOLLERR)) != 0);
}

static void channel_changed(void *owner)
{
    move_bytes(owner, false);
}

static const struct channel_user connection_user = { .room = channel_changed, .input = channel_changed };

/* The channel's first line says whose connection it is (docs/agent-protocol.md). Takes the descriptor. */
static void open_connection(const struct listener *listener, int fd)
{
    struct connection *connection = connection_count < MAX_CONNECTIONS ? calloc(1, sizeof(*connection)) : NULL;
    if (connection == NULL) {
        close(fd);
        return;
    }
    char line[160];
    snprintf(line, sizeof(line), "%s\n", listener->name);
    last_channel = (last_channel + 1) & ~GUEST_CHANNEL_BIT;
    connection->source = (struct source){ .fd = fd, .ready = connection_ready };
    connection->channel = channel_open(GUEST_CHANNEL_BIT | last_channel, true, true, &connection_user, connection);
    if (connection->channel == NULL) {
        close(fd);
        free(connection);
        return;
    }
    connection_count++;
    if (channel_put(connection->channel, line, strlen(line)) < 0)
        close_connection(connection);
    else
        move_bytes(connection, false);
}

/* ---- listening ---- */

static void listener_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct listener *listener = CONTAINER_OF(source, struct listener, source);
    for (int fd; (fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
        open_connection(listener, fd);
}

static bool is_listening(const char *name)
{
    for (const struct listener *listener = listeners; listener != NULL; listener = listener->next)
        if (strcmp(listener->name, name) == 0)
            return true;
    return false;
}

static int open_socket(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    unlink(path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || chown(path, uid, gid) < 0 ||
        chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return take_fd(&fd);
}

int tunnel_listen(const json_t *params, struct failure *failure)
{
    const char *name;
    int64_t mode, uid, gid;
    int result;
    if ((result = field_id(params, "name", &name, failure)) < 0 ||
        (result = field_integer(params, "mode", &mode, failure)) < 0 ||
        (result = field_integer(params, "uid", &uid, failure)) < 0 ||
        (result = field_integer(params, "gid", &gid, failure)) < 0)
        return result;
    if (is_listening(name))
        return 0;
    if (mkdir(TUNNELS_DIRECTORY, 0700) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make " TUNNELS_DIRECTORY);
    char path[256];
    snprintf(path, sizeof(path), TUNNELS_DIRECTORY "/%s", name);
    auto_fd fd = open_socket(path, (mode_t)mode & 07777, (uid_t)uid, (gid_t)gid);
    if (fd < 0)
        return fail_errno(failure, fd, PHASE_MOUNT, "listen on %s", path);
    struct listener *listener = calloc(1, sizeof(*listener));
    auto_free char *copy = strdup(name);
    if (listener == NULL || copy == NULL) {
        free(listener);
        return fail_errno(failure, ENOMEM, PHASE_MOUNT, "listen on %s", path);
    }
    listener->source = (struct source){ .fd = fd, .ready = listener_ready };
    result = loop_add(&listener->source, EPOLLIN);
    if (result < 0) {
        free(listener);
        return fail_errno(failure, result, PHASE_MOUNT, "listen on %s", path);
    }
    take_fd(&fd);
    listener->name = copy;
    copy = NULL;
    listener->next = listeners;
    listeners = listener;
    return 0;
}

static void close_listener(struct listener *listener)
{
    char path[256];
    snprintf(path, sizeof(path), TUNNELS_DIRECTORY "/%s", listener->name);
    unlink(path);
    loop_remove(&listener->source);
    drop_fd(&listener->source.fd);
    free(listener->name);
    free(listener);
}

int tunnel_close(const json_t *params, struct failure *failure)
{
    const char *prefix;
    int result = field_id(params, "prefix", &prefix, failure);
    if (result < 0)
        return result;
    for (struct listener **link = &listeners; *link != NULL;) {
        struct listener *listener = *link;
        if (strncmp(listener->name, prefix, strlen(prefix)) == 0) {
            *link = listener->next;
            close_listener(listener);
        } else {
            link = &listener->next;
        }
    }
    return 0;
}
