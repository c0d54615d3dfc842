/* The name server on 127.0.0.11 in the Pod's network namespace: hands queries on to the daemon's. */
#ifndef CAISSON_DNS_H
#define CAISSON_DNS_H

#include <jansson.h>

#include "core/failure.h"

/* From now on these servers are asked; with an empty array nobody is, and nobody listens. After a failure dns_stop cleans up. */
int dns_serve(const json_t *servers, struct failure *failure);
void dns_stop(void);

#endif
