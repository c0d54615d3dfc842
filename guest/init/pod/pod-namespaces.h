/* The namespaces that containers of the Pod share. */
#ifndef CAISSON_POD_NAMESPACES_H
#define CAISSON_POD_NAMESPACES_H

#include <stdbool.h>

#include "core/failure.h"

struct pod {
    bool exists;
    char *id;
    int net, ipc, uts, pid; /* namespaces; pid is -1 until a container shares it */
    int netlink;            /* socket in the network namespace */
    int pause;              /* first process of the shared PID namespace, 0: none */
};

extern struct pod pod;

/* Makes net, ipc and uts, with the loopback up. 0 or -errno; what was made by then is to be closed. */
int pod_namespaces_open(void);
void pod_namespaces_close(void);
/* The agent itself, for a while; to be left however far it came. */
int pod_namespaces_enter(struct failure *failure);
void pod_namespaces_leave(void);
/* The Pod's PID namespace, made when first asked for. Returns its descriptor or -errno. */
int pod_pid_namespace(struct failure *failure);
/* A non-blocking socket in the Pod's network namespace, or -errno. */
int pod_socket(int family, int type);

#endif
