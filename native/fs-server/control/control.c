#include "control/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/lock-order.h"
#include "control/load.h"
#include "control/save.h"
#include "host/shares.h"
#include "wire/transport.h"

/* A connection: what it holds goes with it. */
struct session {
    bool holds;
};

static unsigned milliseconds(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

/* %XX in place; returns the text. */
static char *decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        unsigned value;
        if (*from == '%' && sscanf(from + 1, "%2x", &value) == 1) {
            *to++ = (char)value;
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

/* Lines of one share: `add NAME ro|rw CACHE_MILLISECONDS PATH`, `cache NAME CACHE_MILLISECONDS`, `protect NAME`, `remove
 * NAME`. */
static int obey_of_share(const char *verb, char *rest)
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
    return add_share(name, mode, milliseconds(cache), decode(rest));
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

/* A line; paths are the rest of theirs, %XX-encoded. `hold` has the guest's requests wait until `release` or the end of the
 * connection; in between `save PATH` and `load PATH`, whose reason may be told. */
static int obey(struct session *session, char *line, char reason[MAX_REASON])
{
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    if (strcmp(verb, "hold") == 0)
        return hold(session);
    if (strcmp(verb, "release") == 0)
        return release(session);
    bool saves = strcmp(verb, "save") == 0;
    if (saves || strcmp(verb, "load") == 0) {
        if (!session->holds || rest == NULL)
            return EINVAL;
        return saves ? save_state(decode(rest), reason) : load_state(decode(rest), reason);
    }
    if (session->holds)
        return EBUSY; /* base/lock-order.h: what holds the others' commands up may wait for this one's end */
    static struct lock commands = LOCK_OF(LOCK_COMMANDS);
    auto_lock one_by_one = take_lock(&commands);
    return obey_of_share(verb, rest);
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

static void *serve_client(void *argument)
{
    int client = (int)(intptr_t)argument;
    FILE *input = fdopen(client, "r");
    struct session session = { .holds = false };
    char *line = NULL;
    size_t size = 0;
    while (input != NULL && getline(&line, &size, input) > 0) {
        char reason[MAX_REASON] = "";
        line[strcspn(line, "\n")] = '\0';
        int error = obey(&session, line, reason);
        reply(client, error, reason);
    }
    release(&session);
    free(line);
    if (input != NULL)
        fclose(input);
    else
        close(client);
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
