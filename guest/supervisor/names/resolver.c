#include "names/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"
#include "names/message.h"
#include "names/table.h"

#define ADDRESS "127.0.0.11"
#define PORT 53
#define MESSAGE_BYTES 4096
/* Questions that others are asked at a time; more wait for nobody, and are answered as failed. */
#define FORWARDS 256
#define UPSTREAM_TIMEOUT_MS 4000

struct forward {
    struct source source; /* connected to who is asked; -1: free */
    struct timer timer;
    struct sockaddr_in client;
    uint8_t message[MESSAGE_BYTES];
    size_t length;
    struct question question;
    size_t next_upstream;
};

static struct source listener = { .fd = -1 };
static struct forward forwards[FORWARDS];

static void reply(const struct sockaddr_in *client, const uint8_t *answer, size_t length)
{
    /* who asks asks again */
    (void)sendto(listener.fd, answer, length, MSG_DONTWAIT, (const struct sockaddr *)client, sizeof(*client));
}

static void end_forward(struct forward *forward)
{
    timer_stop(&forward->timer);
    loop_remove(&forward->source);
    if (forward->source.fd >= 0)
        close(forward->source.fd);
    forward->source.fd = -1;
}

static void upstream_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct forward *forward = CONTAINER_OF(source, struct forward, source);
    uint8_t answer[MESSAGE_BYTES];
    ssize_t length = recv(source->fd, answer, sizeof(answer), MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length < 0) {
        /* it is not there: the next one is asked at once */
        timer_start(&forward->timer, 0);
        return;
    }
    /* not an answer to this question */
    if ((size_t)length < forward->question.bytes || memcmp(answer, forward->message, 2) != 0 || (answer[2] & 0x80) == 0)
        return;
    reply(&forward->client, answer, (size_t)length);
    end_forward(forward);
}

/* Asks the next who could know; answers that nobody does when all were asked. */
static void ask_next(struct forward *forward)
{
    struct in_addr upstreams[TABLE_UPSTREAMS];
    size_t count = table_upstreams(upstreams);
    loop_remove(&forward->source);
    if (forward->source.fd >= 0)
        close(forward->source.fd);
    forward->source.fd = -1;
    while (forward->next_upstream < count) {
        struct sockaddr_in upstream = { .sin_family = AF_INET,
                                        .sin_port = htons(PORT),
                                        .sin_addr = upstreams[forward->next_upstream++] };
        forward->source.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (forward->source.fd < 0)
            break;
        if (connect(forward->source.fd, (struct sockaddr *)&upstream, sizeof(upstream)) == 0 &&
            send(forward->source.fd, forward->message, forward->length, MSG_DONTWAIT) >= 0 &&
            loop_add(&forward->source, EPOLLIN) == 0) {
            timer_start(&forward->timer, UPSTREAM_TIMEOUT_MS);
            return;
        }
        close(forward->source.fd);
        forward->source.fd = -1;
    }
    uint8_t answer[ANSWER_BYTES];
    reply(&forward->client, answer, answer_code(forward->message, &forward->question, ANSWER_FAILURE, answer));
    end_forward(forward);
}

static void upstream_silent(struct timer *timer)
{
    ask_next(CONTAINER_OF(timer, struct forward, timer));
}

static struct forward *free_forward(void)
{
    for (size_t i = 0; i < FORWARDS; i++)
        if (forwards[i].source.fd < 0 && !forwards[i].timer.armed)
            return &forwards[i];
    return NULL;
}

static void forward_question(const struct sockaddr_in *client, const uint8_t *message, size_t length,
                             const struct question *question)
{
    struct forward *forward = free_forward();
    if (forward == NULL) {
        uint8_t answer[ANSWER_BYTES];
        reply(client, answer, answer_code(message, question, ANSWER_FAILURE, answer));
        return;
    }
    forward->source.ready = upstream_ready;
    forward->timer.fire = upstream_silent;
    forward->client = *client;
    memcpy(forward->message, message, length);
    forward->length = length;
    forward->question = *question;
    forward->next_upstream = 0;
    ask_next(forward);
}

/* So that those who take the first take turns. */
static void rotate(struct in_addr *addresses, size_t count)
{
    static size_t turn;
    struct in_addr before[TABLE_ANSWERS];
    memcpy(before, addresses, count * sizeof(before[0]));
    turn++;
    for (size_t i = 0; i < count; i++)
        addresses[i] = before[(i + turn) % count];
}

static void answer_question(const struct sockaddr_in *client, const uint8_t *message, size_t length)
{
    uint8_t answer[ANSWER_BYTES];
    struct question question;
    struct in_addr addresses[TABLE_ANSWERS];
    struct in_addr address;
    size_t count;
    if (!question_read(message, length, &question))
        return;
    if (question.type == TYPE_PTR && question_address(&question, &address)) {
        const char *name = table_pointer(address);
        if (name != NULL) {
            reply(client, answer, answer_pointer(message, &question, name, answer));
            return;
        }
    } else if (table_find(question.name, addresses, &count)) {
        rotate(addresses, count);
        /* of the other types, AAAA above all, such a name has none */
        reply(client, answer,
              answer_addresses(message, &question, addresses, question.type == TYPE_A ? count : 0, answer));
        return;
    }
    forward_question(client, message, length, &question);
}

static void listener_ready(struct source *source, uint32_t events)
{
    (void)events;
    uint8_t message[MESSAGE_BYTES];
    struct sockaddr_in client;
    for (;;) {
        socklen_t size = sizeof(client);
        ssize_t length =
            recvfrom(source->fd, message, sizeof(message), MSG_DONTWAIT, (struct sockaddr *)&client, &size);
        if (length < 0)
            return;
        answer_question(&client, message, (size_t)length);
    }
}

int resolver_open(const char *path)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
    table_open(path);
    for (size_t i = 0; i < FORWARDS; i++)
        forwards[i].source.fd = -1;
    inet_pton(AF_INET, ADDRESS, &address.sin_addr);
    listener.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener.fd < 0)
        return -errno;
    listener.ready = listener_ready;
    int result =
        bind(listener.fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : loop_add(&listener, EPOLLIN);
    if (result < 0) {
        close(listener.fd);
        listener.fd = -1;
    }
    return result;
}
