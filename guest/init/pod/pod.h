/* The Pod of this VM: its net, ipc and uts namespaces, its interfaces and name server. */
#ifndef CAISSON_POD_H
#define CAISSON_POD_H

#include <jansson.h>
#include <stdbool.h>

#include "core/failure.h"

struct pod {
    bool exists;
    char *id;
    int net, ipc, uts, pid; /* namespaces; pid is -1 until a container shares it */
    int pause;              /* first process of the shared PID namespace, 0: none */
};

extern struct pod pod;

/* Makes a set of namespaces ahead, so that the template's clones need not. */
void pod_prepare(void);
int pod_setup(const json_t *params, struct failure *failure);
/* Gives the Pod of a checkpoint another id, name and interfaces; what listens in it goes on. */
int pod_renew(const json_t *params, struct failure *failure);
int pod_interface_add(const json_t *params, struct failure *failure);
int pod_interface_remove(const json_t *params, struct failure *failure);
int pod_dns(const json_t *params, struct failure *failure);
/* The Pod's PID namespace, made when first asked for. Returns its descriptor or -errno. */
int pod_pid_namespace(struct failure *failure);
/* A non-blocking socket in the Pod's network namespace, or -errno. */
int pod_socket(int family, int type);
/* After every container is gone: gives the interfaces back and drops the namespaces. */
void pod_teardown(void);

#endif
