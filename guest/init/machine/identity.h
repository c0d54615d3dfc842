/* What makes a clone of the template a machine of its own, and what keeps its clock right afterwards. */
#ifndef CAISSON_IDENTITY_H
#define CAISSON_IDENTITY_H

#include <jansson.h>

#include "core/failure.h"
#include "wire/port.h"

int identity_set(const json_t *params, struct failure *failure);
/* Adds `adjustUsec` to the wall clock and answers what it shows then; 0 only asks. */
void clock_adjust(struct request request, const json_t *params);

#endif
