/* The name server on 127.0.0.11 in the Pod's network namespace: hands queries on to the daemon's. */
#ifndef CAISSON_DNS_H
#define CAISSON_DNS_H

#include <jansson.h>

#include "failure.h"

/* Call in the Pod's network namespace. An empty array starts nothing. */
int dns_start(const json_t *servers, struct failure *failure);
void dns_stop(void);

#endif
