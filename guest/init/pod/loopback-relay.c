#include "pod/loopback-relay.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "pod/pod-namespaces.h"
#include "pod/stream-relay.h"

enum { MAX_RELAYS = 64, MAX_CONNECTIONS = 512, BACKLOG = 128 };

struct relay {
    struct source source; /* fd 0 and not watched: the place is free */
    struct sockaddr_storage target;
    socklen_t target_length;
    uint16_t port;
    bool needed;
};

static struct relay relays[MAX_RELAYS];
static struct stream_relay connections = { .max_connections = MAX_CONNECTIONS };
static struct in_addr allowed;

static void relay_ready(struct source *source, uint32_t events)
{
    (void)events;
    const struct relay *relay = CONTAINER_OF(source, struct relay, source);
    struct sockaddr_in peer;
    socklen_t size = sizeof(peer);
    for (int fd; (fd = accept4(source->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;
         size = sizeof(peer)) {
        if (peer.sin_addr.s_addr == allowed.s_addr)
            stream_relay_open(&connections, fd, &relay->target, relay->target_length);
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
    stream_relay_close_all(&connections);
}
