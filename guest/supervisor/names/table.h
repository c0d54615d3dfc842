/* names: what a container's resolver knows of the networks that it is on.
 *
 * The table is a file that the daemon writes (an annotation of the Pod, projected), a line each:
 *
 *   name NAME ADDRESS       of another container, or an alias of it; several lines: several addresses
 *   self NAME               the container's own
 *   pointer ADDRESS NAME    what an address is called
 *   upstream ADDRESS        who is asked for the rest; none: nobody */
#ifndef CAISSON_NAMES_TABLE_H
#define CAISSON_NAMES_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define NAME_BYTES 256
#define TABLE_ANSWERS 16
#define TABLE_UPSTREAMS 3

/* Remembers where the table is; it is read when something is asked, and again when it has changed. */
void table_open(const char *path);

/* Addresses of `name`, which is in lower case and without a dot at its end. False: no such name here. A name may have none. */
bool table_find(const char *name, struct in_addr addresses[TABLE_ANSWERS], size_t *count);
/* NULL: none. Valid until the next call of table_*. */
const char *table_pointer(struct in_addr address);
size_t table_upstreams(struct in_addr upstreams[TABLE_UPSTREAMS]);

#endif
