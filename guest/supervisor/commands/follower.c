#include "commands/follower.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "records/record.h"

/* So far may the command be ahead of a client that is attached. */
#define AHEAD_BYTES (1024 * 1024)
/* A daemon that has not been heard of for so long holds nobody up. It pings four times as often. */
#define SILENCE_MS 60000
#define LOOK_MS 5000

struct follower {
    struct follower *next;
    struct session *session;
    struct follower_options options;
};

static const struct record_log *log_read;
static void (*on_progress)(void);
static struct follower *followers;
static struct timer look; /* while somebody holds the command up */

static void tell(struct follower *follower)
{
    static uint8_t frame[sizeof(uint64_t) + SESSION_DATA_BYTES - sizeof(uint64_t)];
    struct session *session = follower->session;
    while (session_room(session) >= SESSION_DATA_BYTES) {
        uint64_t position = follower->options.position;
        ssize_t got = record_log_read(log_read, &position, follower->options.limit, frame + sizeof(position),
                                      sizeof(frame) - sizeof(position));
        follower->options.position = position;
        if (got <= 0)
            break;
        memcpy(frame, &position, sizeof(position));
        follower->options.position += (uint64_t)got;
        session_send(session, SESSION_RECORDS, frame, sizeof(position) + (size_t)got);
    }
    if (!session->dead && follower->options.position >= follower->options.limit) {
        session_send(session, SESSION_END, "", 0);
        session_finish(session);
    }
}

static void room(struct session *session)
{
    struct follower *follower = session->owner;
    if (follower->options.holds)
        timer_start(&look, 0);
    tell(follower);
}

static void closed(struct session *session)
{
    struct follower *follower = session->owner;
    for (struct follower **link = &followers; *link != NULL; link = &(*link)->next)
        if (*link == follower) {
            *link = follower->next;
            break;
        }
    if (follower->options.holds)
        timer_start(&look, 0);
    session->owner = NULL;
    free(follower);
}

static bool frame_came(struct session *session, uint8_t kind, const uint8_t *content, size_t length)
{
    struct follower *follower = session->owner;
    return follower->options.frame(session, kind, content, length);
}

static const struct session_events events = { .frame = frame_came, .room = room, .closed = closed };

void follower_begin(struct session *session, struct follower_options options)
{
    struct follower *follower = calloc(1, sizeof(*follower));
    if (follower == NULL) {
        session_finish(session);
        return;
    }
    *follower = (struct follower){ .next = followers, .session = session, .options = options };
    followers = follower;
    session->owner = follower;
    session->events = &events;
    tell(follower);
}

void followers_wake(void)
{
    for (struct follower *follower = followers, *next; follower != NULL; follower = next) {
        next = follower->next; /* telling one may end it, and no other */
        tell(follower);
    }
}

bool followers_behind(void)
{
    uint64_t end = record_log_end(log_read);
    bool behind = false;
    for (struct follower *follower = followers; follower != NULL; follower = follower->next)
        behind |= follower->options.holds && end - follower->options.position > AHEAD_BYTES &&
                  monotonic_ms() - follower->session->heard_ms < SILENCE_MS;
    if (behind && !look.armed)
        timer_start(&look, LOOK_MS);
    return behind;
}

static void look_again(struct timer *timer)
{
    (void)timer;
    on_progress();
}

void followers_open(const struct record_log *log, void (*progress)(void))
{
    log_read = log;
    on_progress = progress;
    look.fire = look_again;
}
