/* The table of operations: what each request leads to. */
#ifndef CAISSON_OPERATIONS_H
#define CAISSON_OPERATIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "wire/port.h"

void handle_request(struct request request, json_t *message);
/* Whether `identity` was ever answered. */
bool was_identified(void);

#endif
