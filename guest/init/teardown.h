/* The end of a Pod, and of the VM. */
#ifndef CAISSON_TEARDOWN_H
#define CAISSON_TEARDOWN_H

#include <jansson.h>

#include "wire/port.h"

/* Kills every process of the Pod, syncs, unmounts everything, drops namespaces. */
void pod_teardown_all(struct request request, const json_t *params);
/* Kills every process of the Pod and sets up another. Its containers stay mounted until `container.remove`. */
void pod_replace(struct request request, const json_t *params);
/* As pod_teardown_all, and the VM may be killed after the answer. */
void shut_down(struct request request, const json_t *params);
/* A container's process was reaped; teardowns go on. */
void teardown_continue(void);

#endif
