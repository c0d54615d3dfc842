/* How many descriptors there are, and that the guest doesn't get the last. */
#ifndef FS_SERVER_DESCRIPTORS_H
#define FS_SERVER_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

/* Once, before anything else: as many as the host allows; how many these are. */
size_t prepare_descriptors(void);
/* Passes on one that was opened for the guest, or -1 and its errno. Of those that the daemon's connections and the host's events
 * need it closes the one it is given: -1 and EMFILE. */
int guest_descriptor(int fd);
/* Whether the guest may have two more, before something is made that can't be told of without them; else errno is EMFILE. */
bool has_descriptors(void);

#endif
