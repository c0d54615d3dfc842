/* The processes of a container, as Debian's ps lists them. */
#ifndef CAISSON_TOP_H
#define CAISSON_TOP_H

#include <jansson.h>

#include "wire/port.h"

void container_top(struct request request, const json_t *params);

#endif
