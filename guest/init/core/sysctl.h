/* Kernel parameters, by dotted name. */
#ifndef CAISSON_SYSCTL_H
#define CAISSON_SYSCTL_H

#include <jansson.h>

#include "core/failure.h"

/* Writes each; they take effect in the calling process's namespaces. The VM's /proc must be in sight. */
int sysctls_write(const json_t *sysctls, struct failure *failure);

#endif
