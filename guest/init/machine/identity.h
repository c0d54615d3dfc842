/* What makes a clone of the template a machine of its own. */
#ifndef CAISSON_IDENTITY_H
#define CAISSON_IDENTITY_H

#include <jansson.h>

#include "core/failure.h"

int identity_set(const json_t *params, struct failure *failure);

#endif
