/* Memory and complaints.
 *
 * This folder is what any part of the server stands on: nothing here knows of the guest, of shares or of requests. */
#ifndef FS_SERVER_MEMORY_H
#define FS_SERVER_MEMORY_H

#include <stddef.h>

/* A line on stderr: the VM's fs-server.log. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
/* Zeroed; ends the process when there is none. */
void *allocate(size_t size);

#endif
