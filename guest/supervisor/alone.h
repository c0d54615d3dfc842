/* `--network none`: the container's processes are in a network namespace of their own, with nothing but its loopback. */
#ifndef CAISSON_ALONE_H
#define CAISSON_ALONE_H

/* Of process 1, before there are others: it and all that it starts leave the Pod's network, for good. 0 or -errno. */
int leave_network(void);

/* CAP_SYS_ADMIN, by which the Pod's network could be entered again: also of what a node starts beside process 1, with all that the Pod
 * may. 0 or -errno. */
int give_up_return(void);

#endif
