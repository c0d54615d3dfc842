/* What the host's file server tells the kernel of shared files unasked: that others have changed them, or that there are
 * too many that it knows. */
#ifndef CAISSON_SHARE_NOTICES_H
#define CAISSON_SHARE_NOTICES_H

#include <stddef.h>

/* Starts the thread that hands notices to the kernel by /dev/fuse. 0 or an errno. */
int share_notices_start(int fuse);
/* Queues one (struct fuse_out_header and what follows). It is lost when too many wait: the kernel trusts what it knows until its
 * time is over, then. */
void share_notices_add(const void *message, size_t length);

#endif
