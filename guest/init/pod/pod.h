/* The Pod of this VM: its net, ipc and uts namespaces, its interfaces and name server. */
#ifndef CAISSON_POD_H
#define CAISSON_POD_H

#include <jansson.h>

#include "core/failure.h"

/* Makes a set of namespaces ahead, so that the template's clones need not. */
void pod_prepare(void);
int pod_setup(const json_t *params, struct failure *failure);
/* Gives the Pod of a checkpoint another id, name and interfaces; what listens in it goes on. */
int pod_renew(const json_t *params, struct failure *failure);
int pod_interface_add(const json_t *params, struct failure *failure);
int pod_interface_remove(const json_t *params, struct failure *failure);
int pod_dns(const json_t *params, struct failure *failure);
/* After every container is gone: gives the interfaces back and drops the namespaces. */
void pod_teardown(void);

#endif
