/* Relays of streams: both ways, ends, limits, and that none keeps the loop to itself. */
#include "pod/stream-relay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "core/loop.h"
#include "pod/pod-namespaces.h"

/* What one side may move before it is another's turn. */
enum { TURN_BYTES = 65536 };

static int listener, client, server;
static struct sockaddr_storage target;
static socklen_t target_length;
static struct stream_relay relay;

int pod_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Runs the loop until `done` says so: it is asked before each wait for events. */
static jmp_buf out;
static bool (*done)(void);

static void look(void)
{
    if (done())
        longjmp(out, 1);
}

static void run_until(bool (*condition)(void))
{
    done = condition;
    if (setjmp(out) == 0)
        loop_run(look);
}

static void listen_somewhere(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    target_length = sizeof(target);
    /* any abstract name */
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 && listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&target, &target_length) == 0);
}

/* A connection through the relay: `client` is its one end, `server` the other. */
static void open_one(struct stream_relay settings)
{
    int pair[2];
    relay = settings;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    client = pair[0];
    stream_relay_open(&relay, pair[1], &target, target_length);
    CHECK(relay.count == 1 && (server = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
}

static int waiting(int fd)
{
    int bytes;
    CHECK(ioctl(fd, FIONREAD, &bytes) == 0);
    return bytes;
}

static bool has_ended(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static bool server_has_three(void)
{
    return waiting(server) == 3;
}

static bool client_has_two(void)
{
    return waiting(client) == 2;
}

static bool server_is_told(void)
{
    return has_ended(server);
}

static bool client_is_told(void)
{
    return has_ended(client);
}

static void bytes_and_ends_go_both_ways(void)
{
    char bytes[3];
    open_one((struct stream_relay){ .max_connections = 8 });
    CHECK(write(client, "abc", 3) == 3);
    run_until(server_has_three);
    CHECK(read(server, bytes, 3) == 3 && memcmp(bytes, "abc", 3) == 0);
    shutdown(client, SHUT_WR);
    run_until(server_is_told);
    CHECK(write(server, "de", 2) == 2);
    run_until(client_has_two);
    CHECK(read(client, bytes, 2) == 2 && memcmp(bytes, "de", 2) == 0 && relay.count == 1);
    close(server);
    run_until(client_is_told);
    CHECK(relay.count == 0);
    close(client);
}

static void there_are_no_more_than_it_may_have(void)
{
    int pair[2];
    open_one((struct stream_relay){ .max_connections = 1 });
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    stream_relay_open(&relay, pair[1], &target, target_length);
    CHECK(has_ended(pair[0]) && relay.count == 1);
    close(pair[0]);
    stream_relay_close_all(&relay);
    CHECK(has_ended(client) && has_ended(server) && relay.count == 0);
    close(client);
    close(server);
}

static void what_nobody_answers_for_is_closed(void)
{
    struct sockaddr_un nowhere = { .sun_family = AF_UNIX, .sun_path = "/nonexistent/socket" };
    struct sockaddr_storage address = { 0 };
    int pair[2];
    memcpy(&address, &nowhere, sizeof(nowhere));
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    relay = (struct stream_relay){ .max_connections = 1 };
    stream_relay_open(&relay, pair[1], &address, sizeof(nowhere));
    CHECK(has_ended(pair[0]) && relay.count == 0);
    close(pair[0]);
}

static void an_idle_one_is_closed(void)
{
    open_one((struct stream_relay){ .max_connections = 1, .idle_ms = 1 });
    run_until(client_is_told);
    CHECK(has_ended(server) && relay.count == 0);
    close(client);
    close(server);
}

static int sent, arrived;

static bool all_has_come(void)
{
    int now = waiting(server);
    CHECK(now - arrived <= TURN_BYTES);
    arrived = now;
    return now == sent;
}

static void others_have_their_turn(void)
{
    static char bytes[4096];
    open_one((struct stream_relay){ .max_connections = 1 });
    /* less than sockets hold by default, so that all of it can lie at the other end */
    for (; sent < 2 * TURN_BYTES; sent += (int)sizeof(bytes))
        CHECK(write(client, bytes, sizeof(bytes)) == sizeof(bytes));
    run_until(all_has_come);
    stream_relay_close_all(&relay);
    close(client);
    close(server);
}

int main(void)
{
    loop_open();
    listen_somewhere();
    bytes_and_ends_go_both_ways();
    there_are_no_more_than_it_may_have();
    what_nobody_answers_for_is_closed();
    an_idle_one_is_closed();
    others_have_their_turn();
    return 0;
}
