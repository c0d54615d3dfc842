/* The layer between an image's and a container's own, with what Docker puts there: it is part of neither, so it is
 * neither committed nor shown as a change. */
#ifndef CAISSON_INIT_LAYER_H
#define CAISSON_INIT_LAYER_H

#include <jansson.h>

#include "core/failure.h"

#define INIT_LAYER "i"

/* Makes it in the working directory, beside the mounted layers 0 (the top) to layer_count - 1. `spec` is the GuestContainerSpec: what
 * is bound over needs something to lie on. */
int init_layer_make(int layer_count, const json_t *spec, struct failure *failure);

#endif
