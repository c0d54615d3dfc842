/* Connections of a daemon's published ports into the container: many over one session, each as a client and a server would have it, with
 * its halves closed apart. The frames are in protocol/supervisor-tunnel.h. */
#ifndef CAISSON_TUNNEL_H
#define CAISSON_TUNNEL_H

#include "tasks/task-run.h"

/* Until the session ends. `address`: where the container's servers are reached, as Docker does: not by its loopback. */
task_run tunnel_run;

/* Until the session ends: the other way, connections to the container's sockets (sockets/sockets.h). */
task_run sockets_run;

#endif
