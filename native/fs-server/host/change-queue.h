/* Changes that others make to watched files, handed to the guest's replayer one by one (adr/0012). */
#ifndef FS_SERVER_CHANGE_QUEUE_H
#define FS_SERVER_CHANGE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/share-changes-protocol.h"

struct queued_change {
    struct share_change change;
    /* Number of the file if the guest watches it, else 0. */
    uint64_t known;
};

/* Queues a change, unless it is what was queued last or too many wait. */
void queue_change(const struct share_change *change, uint64_t known);
/* The guest's thread `replayer` has done what it was told before, if anything, and asks for the next change: request `unique` is
 * answered now, or when there is one. */
void await_change(uint32_t replayer, uint64_t unique);
/* True if the thread is the replayer: `now` is what it does again, all zeros for nothing. */
bool is_replaying(uint32_t thread, struct queued_change *now);

#endif
