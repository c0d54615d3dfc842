/* What of the host the guest may see: the children of the virtual root.
 *
 * This folder is the host's side of the shares: which there are, and what others change in them. */
#ifndef FS_SERVER_SHARES_H
#define FS_SERVER_SHARES_H

#include "table/inodes.h"

/* `fd` (O_PATH, consumed) is the share, which the daemon has opened at `path`. 0 or an errno. Adding a name again is harmless. */
int add_share(const char *name, const char *mode, unsigned cache_milliseconds, const char *path, int fd);
/* From now on. What was told before holds for as long as it was told to; with 0 it waits for the end of what was told to be
 * trusted for long (trust.h). 0 or an errno. */
int set_share_cache(const char *name, unsigned cache_milliseconds);
/* Waits for the end of all that was told to be trusted for long: while the guest is held nothing more is told. */
void wait_for_end_of_all_trust(void);
/* Nothing of it can be written any more, also through files that are open. 0 or an errno. */
int protect_share(const char *name);
/* Forgets the name; inodes in use stay until the guest forgets them. 0 or an errno. */
int remove_share(const char *name);
/* The share of this name, also for later: shares are never freed. NULL if there is none. */
struct share *share_named(const char *name);
/* The share's root with one lookup counted, and held as by hold_inode(); NULL if there is none. */
struct inode *look_up_share(const char *name);

#endif
