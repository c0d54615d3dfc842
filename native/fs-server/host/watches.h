/* Which shared files the guest watches, and what of them changes on the host: fanotify(7). */
#ifndef FS_SERVER_WATCHES_H
#define FS_SERVER_WATCHES_H

#include <stddef.h>
#include <stdint.h>

#include "table/inodes.h"

/* What the guest says that it watches: a part of the whole, by its flags (SHARE_WATCHES_), and so many struct share_watch one
 * after the other, not aligned. */
void note_watches(uint32_t flags, const unsigned char *watches, size_t count);
/* The share has been taken away. */
void end_watches_of(const struct share *share);

#endif
