/* Locks, and requests that wait for one. */
#ifndef FS_SERVER_LOCKS_H
#define FS_SERVER_LOCKS_H

#include <stdint.h>

#include "transport.h"

/** Carries the request (consumed) out in a thread of its own, so that its wait holds up nobody else. */
void start_waiting(struct request *request);
/** The guest no longer wants the answer of a request that waits. */
void interrupt_waiting(uint64_t unique);
/** Once, before anything else. */
void prepare_interrupts(void);

#endif
