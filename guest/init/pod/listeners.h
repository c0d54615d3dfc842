/* For a Pod on the host's network: what listens in it, so that the daemon listens on the host for it. */
#ifndef CAISSON_LISTENERS_H
#define CAISSON_LISTENERS_H

#include <jansson.h>

#include "wire/port.h"

/* `pod.listeners`: answers when there is something else than the asker knows, or its time is over. */
void pod_listeners(struct request request, const json_t *params);
/* The Pod ends: who waits is told so. */
void listeners_stop(void);

#endif
