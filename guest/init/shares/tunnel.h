/* Unix sockets of the host inside the VM: the agent listens, and each connection is a channel of its own to the daemon,
 * which connects to the host's socket. */
#ifndef CAISSON_TUNNEL_H
#define CAISSON_TUNNEL_H

#include <jansson.h>

#include "core/failure.h"

/* Listens on TUNNELS_DIRECTORY/<name> with this owner and mode. Harmless twice. */
int tunnel_listen(const json_t *params, struct failure *failure);
/* Listens no more on those whose names begin with this; connections go on. */
int tunnel_close(const json_t *params, struct failure *failure);

#endif
