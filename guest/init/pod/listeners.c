/* The kernel tells nobody of a socket that begins to listen, so its tables are read a few times a second, as long as a daemon
 * waits for news. What a container can make of them is bounded: entries that are told, lines that are read, and the part of
 * the time that goes into it. */
#include "pod/listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/loop.h"
#include "core/namespaces.h"
#include "pod/loopback-relay.h"
#include "pod/pod-namespaces.h"

enum {
    POLL_MS = 200,
    /* Of the time, one part in so many. */
    SHARE_OF_TIME = 10,
    MAX_LISTENERS = 256,
    MAX_FOUND = 4096,
    MAX_LINES = 70000,
    /* include/net/tcp_states.h, as /proc has them */
    STATE_CLOSE = 7,
    STATE_LISTEN = 10,
    /* Sockets of clients are bound to ports of this range; who serves names another. */
    FIRST_EPHEMERAL = 32768,
    LAST_EPHEMERAL = 60999,
};

struct listener {
    uint8_t udp, six;
    uint16_t port, relay;
    uint8_t address[16];
};

static struct {
    struct listener list[MAX_LISTENERS];
    size_t count, left; /* `left`: those beyond them */
    int64_t generation; /* of the list; 0: it was never read */
} known;

static struct listener found[MAX_FOUND];
static size_t found_count, found_left;

static struct {
    bool waits;
    struct request request;
    int64_t after, until;
    struct in_addr peer;
} asker;
static struct timer timer;

static bool parse_address(const char *text, struct listener *listener)
{
    size_t words = listener->six ? 4 : 1;
    if (strlen(text) != words * 8)
        return false;
    for (size_t i = 0; i < words; i++) { /* each as a number of this machine's byte order */
        char word[9] = { 0 };
        memcpy(word, text + i * 8, 8);
        uint32_t value = (uint32_t)strtoul(word, NULL, 16);
        memcpy(listener->address + i * 4, &value, 4);
    }
    return true;
}

static void add(const struct listener *listener)
{
    if (found_count < MAX_FOUND)
        found[found_count++] = *listener;
    else
        found_left++;
}

/* /proc/net/tcp and its kind: those that listen come first. */
static void read_table(FILE *table, bool udp, bool six)
{
    char line[256], local[40], remote[40];
    for (int lines = 0; lines < MAX_LINES && fgets(line, sizeof(line), table) != NULL; lines++) {
        unsigned port, remote_port, state;
        if (sscanf(line, " %*u: %39[0-9A-F]:%4x %39[0-9A-F]:%4x %2x", local, &port, remote, &remote_port, &state) != 5)
            continue; /* the heading */
        if (!udp && state != STATE_LISTEN)
            return;
        struct listener listener = { .udp = udp, .six = six, .port = (uint16_t)port };
        bool is_client =
            udp && (state != STATE_CLOSE || remote_port != 0 || (port >= FIRST_EPHEMERAL && port <= LAST_EPHEMERAL));
        if (!is_client && port != 0 && !is_relay(listener.port) && parse_address(local, &listener))
            add(&listener);
    }
}

static int read_tables(void)
{
    static const char *const paths[] = { "/proc/self/net/tcp", "/proc/self/net/tcp6", "/proc/self/net/udp",
                                         "/proc/self/net/udp6" };
    FILE *tables[4];
    if (setns(pod.net, CLONE_NEWNET) < 0)
        return -errno;
    for (int i = 0; i < 4; i++)
        tables[i] = fopen(paths[i], "re"); /* of the namespace in which it was opened */
    setns(own.net, CLONE_NEWNET);
    found_count = found_left = 0;
    for (int i = 0; i < 4; i++) {
        if (tables[i] == NULL) /* no IPv6 */
            continue;
        read_table(tables[i], i >= 2, i % 2 == 1);
        fclose(tables[i]);
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct listener));
}

static bool is_loopback(const struct listener *listener)
{
    static const uint8_t loopback6[16] = { [15] = 1 };
    return listener->six ? memcmp(listener->address, loopback6, 16) == 0 : listener->address[0] == 127;
}

/* Brings `known` to what there is now. */
static int look(void)
{
    int result = read_tables();
    if (result < 0)
        return result;
    qsort(found, found_count, sizeof(found[0]), compare);
    struct listener list[MAX_LISTENERS];
    size_t count = 0, left = found_left;
    relays_begin(asker.peer);
    for (size_t i = 0; i < found_count; i++) {
        if (i > 0 && compare(&found[i], &found[i - 1]) == 0) /* several processes at one port */
            continue;
        if (count == MAX_LISTENERS) {
            left++;
            continue;
        }
        list[count] = found[i];
        if (!found[i].udp && is_loopback(&found[i]))
            list[count].relay = relay_to(found[i].six, found[i].address, found[i].port);
        count++;
    }
    relays_end();
    if (known.generation == 0 || count != known.count || left != known.left ||
        memcmp(list, known.list, count * sizeof(list[0])) != 0) {
        memcpy(known.list, list, count * sizeof(list[0]));
        known.count = count;
        known.left = left;
        known.generation++;
    }
    return 0;
}

static json_t *told(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < known.count; i++) {
        const struct listener *listener = &known.list[i];
        char address[INET6_ADDRSTRLEN] = "";
        inet_ntop(listener->six ? AF_INET6 : AF_INET, listener->address, address, sizeof(address));
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i}", "protocol", listener->udp ? "udp" : "tcp",
                                              "address", address, "port", listener->port, "relay", listener->relay));
    }
    return json_pack("{s:I, s:o, s:I}", "generation", (json_int_t)known.generation, "listeners", list, "left",
                     (json_int_t)known.left);
}

static void fire(struct timer *expired)
{
    (void)expired;
    int64_t began = monotonic_ms();
    int result = look();
    if (result < 0) {
        struct failure failure;
        fail_errno(&failure, result, PHASE_NETWORK, "look for what listens in the Pod");
        asker.waits = false;
        respond_failure(asker.request, &failure);
        return;
    }
    int64_t now = monotonic_ms(), rest = (now - began) * SHARE_OF_TIME;
    if (known.generation != asker.after || now >= asker.until) {
        asker.waits = false;
        respond(asker.request, told());
        return;
    }
    timer_start(&timer, rest > POLL_MS ? rest : POLL_MS);
}

void pod_listeners(struct request request, const json_t *params)
{
    struct failure failure;
    int64_t after, wait;
    const char *peer;
    struct in_addr address;
    int result;
    if ((result = field_integer(params, "after", &after, &failure)) == 0 &&
        (result = field_integer(params, "waitMs", &wait, &failure)) == 0)
        result = field_string(params, "peer", &peer, &failure);
    if (result == 0 && (wait < 0 || inet_pton(AF_INET, peer, &address) != 1))
        result = fail(&failure, EINVAL, PHASE_REQUEST, "bad request for what listens");
    if (result == 0 && !pod.exists)
        result = fail(&failure, ENOENT, PHASE_REQUEST, "there is no Pod yet");
    if (result < 0) {
        respond_failure(request, &failure);
        return;
    }
    /* Who asked before is a daemon that is no more, or does not wait any longer. */
    asker.waits = true;
    asker.request = request;
    asker.after = after;
    asker.until = monotonic_ms() + wait;
    asker.peer = address;
    timer_stop(&timer);
    timer.fire = fire;
    timer_start(&timer, 0);
}

void listeners_stop(void)
{
    timer_stop(&timer);
    relays_stop();
    known.generation = 0;
    known.count = known.left = 0;
    if (!asker.waits)
        return;
    asker.waits = false;
    struct failure failure;
    fail(&failure, ENOENT, PHASE_REQUEST, "the Pod has ended");
    respond_failure(asker.request, &failure);
}
