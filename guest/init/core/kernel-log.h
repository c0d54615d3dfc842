/* What the kernel has said. */
#ifndef CAISSON_KERNEL_LOG_H
#define CAISSON_KERNEL_LOG_H

#include <stddef.h>

/* The last warnings and errors that name `device` (`sda`), in their order, as many as fit, each after "; ". Empty if there
 * are none. */
void kernel_log_about(const char *device, char *text, size_t size);

#endif
