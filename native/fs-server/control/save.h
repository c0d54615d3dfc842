/* Writes what the guest refers to by number into a file, while the guest is held and its vCPUs are stopped. */
#ifndef FS_SERVER_SAVE_H
#define FS_SERVER_SAVE_H

#include "control/saved-state.h"

/* Writes to the new file `fd`, and to the disk; the file is of no use after an error. 0 or an errno; with a `reason` where the errno does not say enough: the guest has a file
 * open that can't be found again. */
int save_state(int fd, char reason[MAX_REASON]);

#endif
