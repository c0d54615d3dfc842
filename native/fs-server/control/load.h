/* Takes up what the server of a VM wrote (save.h) whose guest goes on here. */
#ifndef FS_SERVER_LOAD_H
#define FS_SERVER_LOAD_H

#include "control/saved-state.h"

/* `fd` is the file. Into a server that has its shares, under the names that they had, and has not answered anything. Files are looked for below
 * their share and never through a link. What is not found, or is not the file that it was, stays unknown: its numbers answer
 * ESTALE. Where a share is another file or directory than it was, its files go by their paths.
 * 0 or an errno, with a `reason` as save_state() has it: a lock is somebody else's by now. Then the server is of no more use. */
int load_state(int fd, char reason[MAX_REASON]);

#endif
