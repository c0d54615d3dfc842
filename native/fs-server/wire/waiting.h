/* Requests that wait for a lock on a file: in threads of their own, so that they hold up nobody else. */
#ifndef FS_SERVER_WAITING_H
#define FS_SERVER_WAITING_H

#include "wire/transport.h"

/* Has the request (SETLKW, consumed) handled in a thread of its own; refuses it when too many wait. */
void start_waiting(struct request *request, void (*handle)(struct request *request));
/* The guest no longer wants the answer of a request that waits. */
void interrupt_waiting(uint64_t unique);
/* Once, before anything else. */
void prepare_interrupts(void);

#endif
