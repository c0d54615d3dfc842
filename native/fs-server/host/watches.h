/* Which shared files the guest watches, and what of them changes on the host: fanotify(7). */
#ifndef FS_SERVER_WATCHES_H
#define FS_SERVER_WATCHES_H

#include "wire/operation.h"

/** The guest says what it watches, by the root's attribute. */
void do_watches(struct operation *op);
/** The share has been taken away. */
void end_watches_of(const struct share *share);

#endif
