/* The requests by which the guest's replayer does again what others have changed (host/change-queue.h): they are answered as
 * done, and nothing is done (guest/init/shares/share-changes.c, adr/0012). */
#ifndef FS_SERVER_REPLAY_H
#define FS_SERVER_REPLAY_H

#include <stdbool.h>

#include "wire/operation.h"

/* Answers a read of the root's attribute: now, or when there is a change. */
void do_next_change(struct operation *op);
/* True if the request has been answered: it came from the replayer, and is not one that anybody may make. */
bool answer_replay(struct operation *op);

#endif
