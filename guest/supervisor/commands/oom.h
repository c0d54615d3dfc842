/* How often the kernel has killed in this container for want of memory. */
#ifndef CAISSON_OOM_H
#define CAISSON_OOM_H

#include <stdint.h>

uint64_t oom_kills(void);

#endif
