/* Unix sockets of the container whose connections a daemon takes: Docker's own, where a bind of it is to be, and those of agents that a build's
 * client forwards. They are there before the command runs; who connects waits until a daemon takes the connections (tasks/tunnel.h). */
#ifndef CAISSON_SOCKETS_H
#define CAISSON_SOCKETS_H

#include <time.h>

#define MOST_SOCKETS 8

struct failure;

/* Makes them, and the directories above them, in place of what is there. Each is `MODE:UID:GID:PATH`, the mode octal. */
void sockets_open(char *const specs[], int count);

/* Whether they could all be made: without them the command doesn't start. */
int sockets_ready(struct failure *failure);

/* When the last directory of one was changed by it; 0 where there are none. It may be ahead of the coarse clock. */
struct timespec sockets_made(void);

/* Closes all descriptors but these, and the standard ones. */
void sockets_keep_only(void);

/* Their listeners, which don't block, in the order in which they were given. Returns how many. */
int sockets_listeners(const int **found);

#endif
