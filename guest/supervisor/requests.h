/* What a daemon may ask for: the first frame of each session. */
#ifndef CAISSON_REQUESTS_H
#define CAISSON_REQUESTS_H

#include "sessions/session.h"

extern const struct session_events request_events;

#endif
