#include "reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MOST_PORTS 8
#define CONNECT_MS 1000
#define PATIENCE_SECONDS 20

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Of a number, not of a name. Its length, 0 for what is none. */
static socklen_t address_of(const char *text, const char *port, union address *address)
{
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    *address = (union address){ 0 };
    if (number == 0 || number > UINT16_MAX || *end != '\0')
        return 0;
    address->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)number) };
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1)
        return sizeof(address->v4);
    address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number) };
    return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1 ? sizeof(address->v6) : 0;
}

static int listen_at(const char *text, const char *port)
{
    union address at;
    int on = 1;
    socklen_t length = address_of(text, port, &at);
    if (length == 0)
        return -EINVAL;
    auto_fd listener = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(listener, &at.any, length) < 0 || listen(listener, SOMAXCONN) < 0)
        return -errno;
    return take_fd(&listener);
}

int reach_listen(char *const ports[], int count)
{
    struct pollfd listeners[MOST_PORTS];
    if (count > MOST_PORTS)
        return 1;
    for (int i = 0; i < count; i++) {
        int listener = listen_at("::", ports[i]); /* takes both families */
        if (listener < 0)
            listener = listen_at("0.0.0.0", ports[i]);
        if (listener < 0) {
            dprintf(STDERR_FILENO, "listen on %s: %s\n", ports[i], strerror(-listener));
            return 1;
        }
        listeners[i] = (struct pollfd){ .fd = listener, .events = POLLIN };
    }
    for (;;) {
        if (poll(listeners, (nfds_t)count, -1) < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < count; i++) {
            if ((listeners[i].revents & POLLIN) == 0)
                continue;
            auto_fd client = accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC);
        }
    }
}

/* A network that refuses instead of dropping doesn't let through either. */
static bool connects(const union address *to, socklen_t length)
{
    auto_fd client = socket(to->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t size = sizeof(error);
    if (client < 0)
        return false;
    if (connect(client, &to->any, length) == 0)
        return true;
    struct pollfd wait = { .fd = client, .events = POLLOUT };
    return errno == EINPROGRESS && poll(&wait, 1, CONNECT_MS) == 1 &&
           getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

static time_t seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Waits until it connects, or doesn't any more. Returns whether that came. */
static bool comes_to(const char *address, const char *port, bool wanted)
{
    static const struct timespec pause = { .tv_nsec = 200000000 };
    union address to;
    socklen_t length = address_of(address, port, &to);
    for (time_t end = seconds() + PATIENCE_SECONDS; length > 0 && seconds() < end;) {
        if (connects(&to, length) == wanted)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

int reach(const char *address, const char *allowed, const char *denied)
{
    if (!comes_to(address, allowed, true))
        return REACH_UNKNOWN;
    if (!comes_to(address, denied, false))
        return REACH_IGNORED;
    /* That it is the policy, and not the network or the other Pod that went. */
    return comes_to(address, allowed, true) ? REACH_KEPT : REACH_UNKNOWN;
}
