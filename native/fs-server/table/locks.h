/* Who has locks on a file: a descriptor for each owner carries them (open file description locks), so that VMs which share a
 * volume exclude each other. */
#ifndef FS_SERVER_LOCKS_H
#define FS_SERVER_LOCKS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

#include "table/inodes.h"

/* Takes the carrier of one owner's (a process's, or an open file's) locks, for a request that comes by this open file; `make`s
 * one if there is none. NULL with errno set. */
struct lock_owner *hold_owner(struct inode *inode, uint64_t owner, uint64_t handle, bool make);
/* Gives back what hold_owner() took. */
void give_up_owner(struct lock_owner *lock);
/* The owner's locks on the file go. */
void drop_locks(struct inode *inode, uint64_t owner);
/* The guest has closed an open file: its locks of the open file's own (F_OFD_SETLK) go. FLUSH says nothing of them, and those of
 * a process that asked by it have gone with that process's FLUSH. */
void release_locks(struct inode *inode, uint64_t handle);
/* Takes a lock that the owner had in a server before, asked for by this open file, if nobody has it; 0 or an errno. */
int restore_lock(struct inode *inode, uint64_t owner, uint64_t handle, const struct flock *lock);

#endif
