/* The end of a Pod, and of the VM. */
#ifndef CAISSON_TEARDOWN_H
#define CAISSON_TEARDOWN_H

#include <jansson.h>

#include "port.h"

/* Kills every process of the Pod, syncs, unmounts everything, drops namespaces. */
void pod_teardown_all(struct request request, const json_t *params);
/* The same, and the VM may be killed after the answer. */
void shut_down(struct request request, const json_t *params);
/* A container's process was reaped; teardowns go on. */
void teardown_continue(void);

#endif
