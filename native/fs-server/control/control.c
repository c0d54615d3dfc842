#include "control/control.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/lock-order.h"
#include "base/memory.h"
#include "control/load.h"
#include "control/save.h"
#include "host/shares.h"
#include "include/cleanup.h"
#include "include/percent.h"
#include "wire/transport.h"

enum {
    /* Paths are the longest of what is said, and each of their bytes may take three. */
    MAX_LINE = 4 * PATH_MAX,
};

/* A connection: what it holds goes with it. */
struct session {
    int client;
    bool holds;
    /* What came with the line, or -1. */
    int fd;
    char said[MAX_LINE];
    size_t length;
};

/* For the next `save` or `load`, or -1. */
static _Atomic int state_fd = -1;

static unsigned milliseconds(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

/* Lines of one share: `add NAME ro|rw CACHE_MILLISECONDS PATH` with the share's descriptor, `cache NAME CACHE_MILLISECONDS`, `protect NAME`, `remove NAME`. */
static int obey_of_share(struct session *session, const char *verb, char *rest)
{
    const char *name = rest != NULL ? strsep(&rest, " ") : NULL;
    if (name == NULL)
        return EINVAL;
    if (strcmp(verb, "remove") == 0)
        return remove_share(name);
    if (strcmp(verb, "protect") == 0)
        return protect_share(name);
    if (strcmp(verb, "cache") == 0)
        return rest != NULL ? set_share_cache(name, milliseconds(rest)) : EINVAL;
    const char *mode = rest != NULL ? strsep(&rest, " ") : NULL;
    const char *cache = rest != NULL ? strsep(&rest, " ") : NULL;
    if (strcmp(verb, "add") != 0 || mode == NULL || cache == NULL || rest == NULL)
        return EINVAL;
    return add_share(name, mode, milliseconds(cache), decode_percent(rest), take_fd(&session->fd));
}

static int hold(struct session *session)
{
    int error = session->holds ? EBUSY : hold_guest();
    session->holds = session->holds || error == 0;
    /* its state may be saved now, and go on when nobody tells it of what has changed meanwhile */
    if (error == 0)
        wait_for_end_of_all_trust();
    return error;
}

static int release(struct session *session)
{
    if (!session->holds)
        return EINVAL;
    session->holds = false;
    release_guest();
    return 0;
}

/* The descriptor that came with the line is the file of the next `save` or `load`. */
static int take_state_file(struct session *session)
{
    if (session->fd < 0)
        return EBADF;
    auto_fd before = atomic_exchange(&state_fd, take_fd(&session->fd));
    return 0;
}

static int save_or_load(const struct session *session, bool saves, char reason[MAX_REASON])
{
    auto_fd fd = atomic_exchange(&state_fd, -1);
    if (!session->holds)
        return EINVAL;
    if (fd < 0)
        return EBADF;
    return saves ? save_state(fd, reason) : load_state(fd, reason);
}

/* A line; a path is the rest of its, %XX-encoded. `hold` has the guest's requests wait until `release` or the end of the
 * connection; in between `save` and `load`, whose reason may be told, after a `state` that came with their file. */
static int obey(struct session *session, char *line, char reason[MAX_REASON])
{
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    if (strcmp(verb, "hold") == 0)
        return hold(session);
    if (strcmp(verb, "release") == 0)
        return release(session);
    if (strcmp(verb, "state") == 0)
        return take_state_file(session);
    if (strcmp(verb, "save") == 0 || strcmp(verb, "load") == 0)
        return save_or_load(session, strcmp(verb, "save") == 0, reason);
    if (session->holds)
        return EBUSY; /* base/lock-order.h: what holds the others' commands up may wait for this one's end */
    static struct lock commands = LOCK_OF(LOCK_COMMANDS);
    auto_lock one_by_one = take_lock(&commands);
    return obey_of_share(session, verb, rest);
}

/* `ok`, the name of an errno, or that and a reason. */
static void reply(int client, int error, char reason[MAX_REASON])
{
    for (char *at = reason; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = '?';
    const char *name = error == 0 ? "ok" : strerrorname_np(error);
    dprintf(client, "%s%s%s\n", name, error != 0 && reason[0] != '\0' ? " " : "", error != 0 ? reason : "");
}

static void drop_descriptor(struct session *session)
{
    auto_fd dropped = take_fd(&session->fd);
}

/* More of what the client says, and a descriptor if one comes with it. False at the end. */
static bool hear(struct session *session)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct iovec room = { session->said + session->length, sizeof(session->said) - session->length };
    struct msghdr message = {
        .msg_iov = &room, .msg_iovlen = 1, .msg_control = ancillary.space, .msg_controllen = sizeof(ancillary.space)
    };
    ssize_t got = recvmsg(session->client, &message, MSG_CMSG_CLOEXEC);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    session->length += (size_t)got;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        drop_descriptor(session);
        memcpy(&session->fd, CMSG_DATA(header), sizeof(session->fd));
    }
    return true;
}

/* The next whole line, until the next call; NULL at the end, and for one that is too long. */
static char *next_line(struct session *session, size_t *used)
{
    memmove(session->said, session->said + *used, session->length - *used);
    session->length -= *used;
    *used = 0;
    char *end;
    while ((end = memchr(session->said, '\n', session->length)) == NULL)
        if (session->length == sizeof(session->said) || !hear(session))
            return NULL;
    *end = '\0';
    *used = (size_t)(end - session->said) + 1;
    return session->said;
}

static void *serve_client(void *argument)
{
    auto_free struct session *session = allocate(sizeof *session);
    auto_fd client = (int)(intptr_t)argument;
    session->client = client;
    session->fd = -1;
    size_t used = 0;
    for (char *line; (line = next_line(session, &used)) != NULL;) {
        char reason[MAX_REASON] = "";
        int error = obey(session, line, reason);
        drop_descriptor(session);
        reply(client, error, reason);
    }
    release(session);
    drop_descriptor(session);
    return NULL;
}

/* Clients don't wait for each other: one may hold the guest for long. */
static void *serve_control(void *argument)
{
    int listener = (int)(intptr_t)argument;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (client < 0)
            usleep(10000); /* no descriptor: whoever has them may close some */
        else if (pthread_create(&thread, &detached, serve_client, (void *)(intptr_t)client) != 0)
            close(client);
    }
    return NULL;
}

int start_control(int listener)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, serve_control, (void *)(intptr_t)listener);
}
