/* The name server on 127.0.0.11 in the Pod's network namespace: hands queries on to the daemon's, over UDP and TCP,
 * looking only at their ids. Many images have that address written down as their resolver. */
#include "pod/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/loop.h"
#include "pod/dns-redirect.h"
#include "pod/pod-namespaces.h"
#include "pod/stream-relay.h"

#define MAX_SERVERS 4
#define MAX_QUERIES 256
#define MAX_CONNECTIONS 64
#define MAX_ANSWER 65535 /* the client's EDNS says what it takes */
#define DNS_HEADER 12
/* After this the next server is asked too. */
#define ATTEMPT_MS 1500
/* When all were asked: the daemon may be trying several upstream servers, one after the other. */
#define ANSWER_MS 10000
#define IDLE_MS 30000

struct server {
    struct sockaddr_storage address;
    socklen_t length;
    struct source source; /* connected UDP */
};

/* A query under way, found again by the id that the server sees. */
struct query {
    struct timer timer;
    struct sockaddr_in client;
    uint8_t client_id[2];
    uint16_t id;
    int server;
    size_t length;
    uint8_t bytes[512];
};

static struct server servers[MAX_SERVERS];
static int server_count;
static struct source udp = { .fd = -1 }, tcp = { .fd = -1 };
static struct query *queries[MAX_QUERIES];
static struct stream_relay connections = { .max_connections = MAX_CONNECTIONS, .idle_ms = IDLE_MS };

/* ---- UDP ---- */

static void forget_query(struct query *query)
{
    queries[query->id % MAX_QUERIES] = NULL;
    timer_stop(&query->timer);
    free(query);
}

static void ask(struct query *query)
{
    send(servers[query->server].source.fd, query->bytes, query->length, MSG_DONTWAIT);
    timer_start(&query->timer, query->server + 1 < server_count ? ATTEMPT_MS : ANSWER_MS);
}

static void attempt_over(struct timer *timer)
{
    struct query *query = CONTAINER_OF(timer, struct query, timer);
    if (++query->server >= server_count)
        forget_query(query);
    else
        ask(query);
}

static void answer_ready(struct source *source, uint32_t events)
{
    (void)events;
    static uint8_t answer[MAX_ANSWER];
    const struct server *server = CONTAINER_OF(source, struct server, source);
    for (;;) {
        ssize_t length = recv(source->fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length < 0) { /* refused: all that wait for this server ask the next */
            for (int i = 0; i < MAX_QUERIES; i++)
                if (queries[i] != NULL && &servers[queries[i]->server] == server) {
                    timer_stop(&queries[i]->timer);
                    attempt_over(&queries[i]->timer);
                }
            continue;
        }
        uint16_t id = (uint16_t)(answer[0] << 8 | answer[1]);
        struct query *query = queries[id % MAX_QUERIES];
        if (length < DNS_HEADER || query == NULL || query->id != id)
            continue;
        memcpy(answer, query->client_id, 2);
        sendto(udp.fd, answer, (size_t)length, MSG_DONTWAIT, (struct sockaddr *)&query->client, sizeof(query->client));
        forget_query(query);
    }
}

static struct query *new_query(void)
{
    uint16_t random = 0;
    getrandom(&random, sizeof(random), GRND_NONBLOCK);
    for (int i = 0; i < MAX_QUERIES; i++) {
        uint16_t id = (uint16_t)(random + i);
        if (queries[id % MAX_QUERIES] != NULL)
            continue;
        struct query *query = calloc(1, sizeof(*query));
        if (query != NULL) {
            query->id = id;
            query->timer.fire = attempt_over;
            queries[id % MAX_QUERIES] = query;
        }
        return query;
    }
    return NULL; /* flooded: the client will ask again */
}

static void query_ready(struct source *source, uint32_t events)
{
    (void)events;
    uint8_t bytes[sizeof(((struct query *)NULL)->bytes) + 1]; /* one more: a longer query is told by it */
    for (;;) {
        struct sockaddr_in client;
        socklen_t size = sizeof(client);
        ssize_t length = recvfrom(source->fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&client, &size);
        if (length < 0)
            return;
        struct query *query;
        if (length < DNS_HEADER || length > (ssize_t)sizeof(query->bytes) || (query = new_query()) == NULL)
            continue;
        query->client = client;
        query->length = (size_t)length;
        memcpy(query->client_id, bytes, 2);
        memcpy(query->bytes, bytes, (size_t)length);
        query->bytes[0] = (uint8_t)(query->id >> 8);
        query->bytes[1] = (uint8_t)query->id;
        ask(query);
    }
}

/* ---- TCP ---- */

static void accept_ready(struct source *source, uint32_t events)
{
    (void)events;
    int client = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0)
        stream_relay_open(&connections, client, &servers[0].address, servers[0].length);
}

/* ---- start and stop ---- */

static int listen_on(struct source *source, int type, void (*ready)(struct source *source, uint32_t events))
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(DNS_LISTEN_PORT),
        .sin_addr.s_addr = inet_addr("127.0.0.11"),
    };
    int on = 1;
    source->fd = pod_socket(AF_INET, type);
    source->ready = ready;
    if (source->fd < 0)
        return source->fd;
    setsockopt(source->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(source->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        (type == SOCK_STREAM && listen(source->fd, 16) < 0))
        return -errno;
    return loop_add(source, EPOLLIN);
}

static int add_server(const char *text)
{
    struct server *server = &servers[server_count];
    struct sockaddr_in *v4 = (struct sockaddr_in *)&server->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&server->address;
    memset(server, 0, sizeof(*server));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(DNS_PORT);
        server->length = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(DNS_PORT);
        server->length = sizeof(*v6);
    } else {
        return -EINVAL;
    }
    server->source.ready = answer_ready;
    server->source.fd = pod_socket(server->address.ss_family, SOCK_DGRAM);
    if (server->source.fd < 0)
        return server->source.fd;
    server_count++;
    if (connect(server->source.fd, (struct sockaddr *)&server->address, server->length) < 0)
        return -errno;
    return loop_add(&server->source, EPOLLIN);
}

static void drop_servers(void)
{
    for (int i = 0; i < server_count; i++) {
        loop_remove(&servers[i].source);
        drop_fd(&servers[i].source.fd);
    }
    server_count = 0;
}

static int listen_here(struct failure *failure)
{
    int result;
    if ((result = listen_on(&udp, SOCK_DGRAM, query_ready)) < 0 ||
        (result = listen_on(&tcp, SOCK_STREAM, accept_ready)) < 0)
        return fail_errno(failure, result, PHASE_NETWORK, "listen on 127.0.0.11");
    if ((result = dns_redirect_start()) < 0)
        return fail_errno(failure, result, PHASE_NETWORK, "redirect queries to 127.0.0.11");
    return 0;
}

int dns_serve(const json_t *list, struct failure *failure)
{
    stream_relay_close_all(&connections);
    drop_servers();
    for (size_t i = 0; i < json_array_size(list) && server_count < MAX_SERVERS; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        int result = text != NULL ? add_server(text) : -EINVAL;
        if (result < 0)
            return fail_errno(failure, result, PHASE_NETWORK, "use the name server %s", text != NULL ? text : "");
    }
    if (server_count == 0) {
        dns_stop();
        return 0;
    }
    /* Nobody notices the change: the sockets stay, and what was asked is asked again. */
    for (int i = 0; i < MAX_QUERIES; i++)
        if (queries[i] != NULL) {
            queries[i]->server = 0;
            ask(queries[i]);
        }
    return tcp.fd >= 0 ? 0 : listen_here(failure);
}

void dns_stop(void)
{
    dns_redirect_stop();
    /* A clone that has not come to its program yet has a copy of it, which would keep the port. */
    if (tcp.fd >= 0)
        shutdown(tcp.fd, SHUT_RDWR);
    struct source *listeners[2] = { &udp, &tcp };
    for (int i = 0; i < 2; i++) {
        loop_remove(listeners[i]);
        drop_fd(&listeners[i]->fd);
    }
    for (int i = 0; i < MAX_QUERIES; i++)
        if (queries[i] != NULL)
            forget_query(queries[i]);
    stream_relay_close_all(&connections);
    drop_servers();
}
