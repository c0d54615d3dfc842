/* How many files the guest knows. Each is a descriptor here, and a guest with some gigabytes of memory remembers more of them
 * than a process may have open: before there are no more, it is asked to forget those that nobody uses. */
#ifndef FS_SERVER_CROWD_H
#define FS_SERVER_CROWD_H

#include <stddef.h>

/* Once, before there are any files: how many descriptors this process may have. */
void set_descriptor_limit(size_t descriptors);
/* Asks the guest to forget files if it knows too many. Sends a notice, so no lock may be held. */
void ask_to_forget(void);

#endif
