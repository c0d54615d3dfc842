/* A Docker engine inside a privileged container. */
#ifndef CAISSON_NESTED_ENGINE_H
#define CAISSON_NESTED_ENGINE_H

#include <jansson.h>

#include "core/failure.h"

/* Gives a privileged container whose image has dockerd a /var/lib/docker on its own disk, unless something else is to be
 * mounted there: overlayfs can't lie on the overlay that the container's root is. `directory` is the container's. */
int nested_engine_bind(const char *directory, int root, const json_t *spec, struct failure *failure);

#endif
