/* Ownership by scope (include/cleanup.h), of the agent's own kinds too. */
#ifndef CAISSON_CLEANUP_H
#define CAISSON_CLEANUP_H

#include <jansson.h>

#include "include/cleanup.h"

static inline void cleanup_json(json_t **value)
{
    json_decref(*value);
}

#define auto_json __attribute__((cleanup(cleanup_json))) json_t *

#endif
