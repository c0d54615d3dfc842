/* Making files as the guest's process: owner, group and umask are the host kernel's to apply, so that nobody
 * can put another file in the new one's place before it has its owner. */
#ifndef FS_SERVER_IDENTITY_H
#define FS_SERVER_IDENTITY_H

#include <linux/fuse.h>
#include <stdint.h>

/* Once, before there are threads: whether we can give files to others. */
void prepare_identities(void);
/* Each thread that makes files calls it once: its user and umask become its own. 0 or an errno. */
int prepare_identity(void);
/* From here to leave_caller() this thread makes files as the request's process; it keeps our privileges,
 * since the guest has checked permissions and knows groups that we don't. */
void enter_caller(const struct fuse_in_header *in, uint32_t umask_bits);
void leave_caller(void);

#endif
