#include "sessions/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"

#define OUT_BYTES (4 * SESSION_DATA_BYTES)
#define MOST_SESSIONS 1024
/* Of input that waits. A daemon sends half of that ahead, so that its pings are never behind what nobody takes. */
#define WAITING_BYTES (8 * SESSION_DATA_BYTES)

struct waiting_frame {
    struct waiting_frame *next;
    uint8_t kind;
    size_t length;
    uint8_t content[];
};

static struct session *sessions;
static unsigned session_count;
static struct source listener = { .fd = -1 };
static const struct session_events *first_events;

struct session *session_first(void)
{
    return sessions;
}

size_t session_room(const struct session *session)
{
    return session->dead || session->out.used >= OUT_BYTES ? 0 : OUT_BYTES - session->out.used;
}

static void die_now(struct session *session)
{
    if (session->dead)
        return;
    session->dead = true;
    loop_remove(&session->source);
    drop_fd(&session->source.fd);
    session->events->closed(session);
}

static void watch(struct session *session)
{
    if (session->dead)
        return;
    bool reads = session->waiting_bytes < WAITING_BYTES && !session->input_over && !session->finishing;
    /* One that hears nothing more is watched for its end alone. */
    uint32_t wanted = (reads ? (uint32_t)EPOLLIN : 0) | (session->out.used > 0 ? (uint32_t)EPOLLOUT : 0);
    if (session->wanted == wanted)
        return;
    session->wanted = wanted;
    loop_change(&session->source, wanted);
}

static void send_queued(struct session *session)
{
    const uint8_t *bytes = NULL;
    size_t length;
    while ((length = ring_front(&session->out, &bytes)) > 0) {
        ssize_t done = send(session->source.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN)
            break;
        if (done <= 0) {
            die_now(session);
            return;
        }
        ring_consume(&session->out, (size_t)done);
    }
    if (session->finishing && session->out.used == 0)
        die_now(session);
    else
        watch(session);
}

void session_send(struct session *session, uint8_t kind, const void *content, size_t length)
{
    if (session->dead || session->finishing)
        return;
    uint8_t header[SESSION_HEADER_BYTES] = { kind };
    uint32_t size = (uint32_t)length;
    memcpy(header + 4, &size, sizeof(size));
    if (ring_reserve(&session->out, sizeof(header) + length) < 0) {
        die_now(session); /* the daemon comes again */
        return;
    }
    ring_append(&session->out, header, sizeof(header));
    ring_append(&session->out, content, length);
    send_queued(session);
}

void session_send_json(struct session *session, uint8_t kind, json_t *value)
{
    auto_json owned = value;
    auto_free char *text = json_dumps(owned, JSON_COMPACT);
    if (text != NULL)
        session_send(session, kind, text, strlen(text));
    else
        die_now(session);
}

void session_send_failure(struct session *session, const struct failure *failure)
{
    char message[sizeof(failure->message)];
    snprintf(message, sizeof(message), "%s", failure->message);
    json_t *text = json_string(message);
    if (text == NULL) /* a path that is no UTF-8, or one that was cut within a character */
        for (char *at = message; *at != '\0'; at++)
            *at = (*at & 0x80) != 0 ? '?' : *at;
    json_decref(text);
    session_send_json(session, SESSION_FAILURE,
                      json_pack("{s:s, s:s, s:s}", "code", code_name(failure->code), "phase",
                                phase_name(failure->phase), "message", message));
}

void session_finish(struct session *session)
{
    if (session->dead || session->finishing)
        return;
    session->finishing = true;
    send_queued(session);
}

/* Offers it to whoever serves the session. */
static bool is_taken(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    if (!session->events->frame(session, kind, content, length))
        return false;
    uint32_t taken = (uint32_t)length;
    if (kind == SESSION_INPUT)
        session_send(session, SESSION_TAKEN, &taken, sizeof(taken));
    return true;
}

static void keep_waiting(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    struct waiting_frame *frame = malloc(sizeof(*frame) + length), **link = &session->waiting;
    if (frame == NULL) {
        die_now(session);
        return;
    }
    *frame = (struct waiting_frame){ .kind = kind, .length = length };
    memcpy(frame->content, content, length);
    while (*link != NULL)
        link = &(*link)->next;
    *link = frame;
    session->waiting_bytes += length + 1;
}

/* The next whole frame. False: there is none. */
static bool give_frame(struct session *session)
{
    uint8_t header[SESSION_HEADER_BYTES];
    uint32_t length;
    if (session->in.used < sizeof(header) || session->waiting_bytes >= WAITING_BYTES)
        return false;
    ring_copy(&session->in, 0, header, sizeof(header));
    memcpy(&length, header + 4, sizeof(length));
    uint8_t kind = header[0];
    if (length > (kind == SESSION_REQUEST ? SESSION_REQUEST_BYTES : SESSION_DATA_BYTES)) {
        die_now(session);
        return false;
    }
    if (session->in.used < sizeof(header) + length)
        return false;
    auto_free uint8_t *content = malloc(length + 1u);
    if (content == NULL) {
        die_now(session);
        return false;
    }
    ring_copy(&session->in, sizeof(header), content, length);
    content[length] = '\0';
    ring_consume(&session->in, sizeof(header) + length);
    bool is_input = kind == SESSION_INPUT || kind == SESSION_INPUT_END;
    if (kind == SESSION_PING)
        session_send(session, SESSION_PONG, "", 0);
    else if ((is_input && session->waiting != NULL) || !is_taken(session, kind, content, length))
        keep_waiting(session, kind, content, length);
    return !session->dead && !session->finishing;
}

static void give_frames(struct session *session)
{
    while (!session->dead && give_frame(session))
        ;
    watch(session);
}

static void take_bytes(struct session *session)
{
    if (ring_reserve(&session->in, SESSION_DATA_BYTES) < 0) {
        die_now(session);
        return;
    }
    ssize_t got = ring_read_from(&session->in, session->source.fd, SESSION_DATA_BYTES);
    if (got == -EAGAIN || got == -EINTR)
        return;
    session->heard_ms = monotonic_ms();
    if (got < 0) {
        die_now(session);
        return;
    }
    if (got == 0)
        session->input_over = true;
    give_frames(session);
    /* Whoever sends no more reads no more either: ctl half-closes when its daemon is gone. */
    if (got == 0)
        die_now(session);
}

static void session_ready(struct source *source, uint32_t events)
{
    struct session *session = CONTAINER_OF(source, struct session, source);
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (session->wanted & EPOLLIN) == 0) {
        die_now(session);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        send_queued(session);
        if (!session->dead && session_room(session) >= SESSION_DATA_BYTES)
            session->events->room(session);
    }
    if (!session->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        take_bytes(session);
}

void session_resume(struct session *session)
{
    while (session->waiting != NULL && !session->dead) {
        struct waiting_frame *frame = session->waiting;
        if (!is_taken(session, frame->kind, frame->content, frame->length))
            return;
        session->waiting = frame->next;
        session->waiting_bytes -= frame->length + 1;
        free(frame);
    }
    give_frames(session);
}

/* Has no parent in here: the node has started it. Whatever else runs descends from process 1, in the end. */
static bool is_from_outside(pid_t pid)
{
    char path[32], text[256];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (got <= 0)
        return false;
    text[got] = '\0';
    /* `PID (NAME) STATE PARENT`; a name may have parentheses */
    const char *end = strrchr(text, ')');
    int parent;
    return end != NULL && sscanf(end, ") %*c %d", &parent) == 1 && parent == 0;
}

/* A command's root may have fewer rights than process 1 would give whom it runs for a daemon. */
static bool is_daemons(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0 && is_from_outside(peer.pid);
}

static void accept_session(struct source *source, uint32_t events)
{
    (void)events;
    auto_fd fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || !is_daemons(fd) || session_count >= MOST_SESSIONS)
        return;
    struct session *session = calloc(1, sizeof(*session));
    if (session == NULL)
        return;
    *session = (struct session){
        .next = sessions,
        .source = { .fd = take_fd(&fd), .ready = session_ready },
        .events = first_events,
        .wanted = EPOLLIN,
        .heard_ms = monotonic_ms(),
    };
    sessions = session;
    session_count++;
    if (loop_add(&session->source, EPOLLIN) < 0)
        die_now(session);
}

int sessions_open(const char *path, const struct session_events *events)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    first_events = events;
    listener.ready = accept_session;
    listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener.fd < 0)
        return -errno;
    unlink(path); /* an earlier process's */
    mode_t mask = umask(0177);
    int result = bind(listener.fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(mask);
    if (result == 0 && listen(listener.fd, 128) < 0)
        result = -errno;
    return result < 0 ? result : loop_add(&listener, EPOLLIN);
}

void sessions_sweep(void)
{
    for (struct session **link = &sessions; *link != NULL;) {
        struct session *session = *link;
        if (!session->dead) {
            link = &session->next;
            continue;
        }
        *link = session->next;
        session_count--;
        for (struct waiting_frame *frame; (frame = session->waiting) != NULL;) {
            session->waiting = frame->next;
            free(frame);
        }
        ring_free(&session->in);
        ring_free(&session->out);
        free(session);
    }
}
