/* `--network none`: the container's processes are in a network namespace of their own, with nothing but its loopback. */
#ifndef CAISSON_ALONE_H
#define CAISSON_ALONE_H

/* Of process 1, before there are others: it and all that it starts leave the Pod's network, and it gives up the rights that this takes.
 * 0 or -errno. */
int leave_network(void);

#endif
