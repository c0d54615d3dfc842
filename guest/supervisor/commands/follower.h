/* Sessions that read the log: all that was, and what comes. */
#ifndef CAISSON_FOLLOWER_H
#define CAISSON_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "records/record-log.h"
#include "sessions/session.h"

struct follower_options {
    uint64_t position;
    uint64_t limit; /* UINT64_MAX: for ever */
    bool holds;     /* its client is attached: the command waits for it as for a full pipe */
    /* What it sends besides, as session_events have it. */
    bool (*frame)(struct session *session, uint8_t kind, const uint8_t *content, size_t length);
};

/* `progress` is called when one that holds has taken something. */
void followers_open(const struct record_log *log, void (*progress)(void));
void follower_begin(struct session *session, struct follower_options options);
/* The log has grown. */
void followers_wake(void);
/* Whether somebody who holds is too far behind. */
bool followers_behind(void);

#endif
