/* Files shared by the host: one FUSE mount at /run/shares, whose requests go over a virtio-serial port to the VM's
 * file server. Its children are the shares. */
#ifndef CAISSON_SHARES_H
#define CAISSON_SHARES_H

#include <jansson.h>

#include "core/failure.h"

/* Mounts it and starts the process that carries the requests. Harmless twice. */
int shares_mount(const json_t *params, struct failure *failure);
/* Copies what the image has at `target` below `root` into the directory `share`, if that is empty: a volume's first
 * use. Nothing happens where the image has no directory there. */
int shares_populate(int root, const char *target, const char *share, struct failure *failure);

#endif
