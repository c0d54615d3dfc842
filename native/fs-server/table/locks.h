/* Locks, and requests that wait for one. */
#ifndef FS_SERVER_LOCKS_H
#define FS_SERVER_LOCKS_H

#include <fcntl.h>
#include <stdint.h>

#include "table/inodes.h"
#include "wire/transport.h"

/** Carries the request (consumed) out in a thread of its own, so that its wait holds up nobody else. */
void start_waiting(struct request *request);
/** The guest no longer wants the answer of a request that waits. */
void interrupt_waiting(uint64_t unique);
/**
 * The guest has closed an open file: its locks of the open file's own (F_OFD_SETLK) go. FLUSH says nothing of them, and those of
 * a process that asked by it have gone with that process's FLUSH.
 */
void release_locks(struct inode *inode, uint64_t handle);
/** Takes a lock that the owner had in a server before, asked for by this open file, if nobody has it; 0 or an errno. */
int restore_lock(struct inode *inode, uint64_t owner, uint64_t handle, const struct flock *lock);
/** Once, before anything else. */
void prepare_interrupts(void);

#endif
