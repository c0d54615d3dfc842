/* The start of a container's first process, and its end. */
#ifndef CAISSON_CONTAINER_H
#define CAISSON_CONTAINER_H

#include <jansson.h>
#include <stdbool.h>

#include "wire/port.h"

struct container;

/* Operation container.start. Answers by itself. */
void container_start(struct request request, const json_t *params);
/* Disks appeared: containers that waited for them go on. */
void containers_disks_changed(void);
/* Gives up a container that still waits for its disks. False if it does not. */
bool container_cancel(struct container *container);

#endif
