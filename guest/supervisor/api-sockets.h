/* The sockets by which a container comes to its daemon's API: where a bind of Docker's own socket is to be. They are there before the command
 * runs; who connects waits until a daemon takes the connections (tasks/tunnel.h). */
#ifndef CAISSON_API_SOCKETS_H
#define CAISSON_API_SOCKETS_H

#define MOST_API_SOCKETS 8

struct failure;

/* Makes them, and the directories above them, in place of what is there: for root and its group, as Docker's is. */
void api_sockets_open(char *const paths[], int count);

/* Whether they could all be made: without them the command doesn't start. */
int api_sockets_ready(struct failure *failure);

/* Closes all descriptors but these, and the standard ones. */
void api_sockets_keep_only(void);

/* Their listeners, which don't block. Returns how many. */
int api_sockets(const int **listeners);

#endif
