/* Which devices a container may use: a cgroup BPF program made from its rules. */
#ifndef CAISSON_DEVICE_FILTER_H
#define CAISSON_DEVICE_FILTER_H

#include <jansson.h>

#include "core/failure.h"

/* Loads the program for an array of GuestDeviceRule; what every container may use is allowed on top. Returns a
 * descriptor, -1 through `program` when everything is allowed anyway. */
int device_filter_load(const json_t *rules, int *program, struct failure *failure);
int device_filter_attach(int program, int cgroup);

#endif
