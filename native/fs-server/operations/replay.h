/* Changes that others make to watched files, handed to the guest's replayer one by one, and the requests it does them again by:
 * they are answered as done, and nothing is done (guest/init/shares/share-changes.c, adr/0012). */
#ifndef FS_SERVER_REPLAY_H
#define FS_SERVER_REPLAY_H

#include <stdbool.h>

#include "protocol/share-changes-protocol.h"
#include "wire/operation.h"

/** Queues a change, unless it is what was queued last or too many wait. `known`: number of the file if the guest watches it,
 * else 0. */
void queue_change(const struct share_change *change, uint64_t known);
/** Answers a read of the root's attribute: now, or when there is a change. */
void do_next_change(struct operation *op);
/** True if the request has been answered: it came from the replayer, and is not one that anybody may make. */
bool answer_replay(struct operation *op);

#endif
