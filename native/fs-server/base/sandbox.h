/* What this process may do: its own files by their descriptors, and little else. A guest's kernel that took it over would find the
 * shares that it had anyway (docs/security.md). */
#ifndef FS_SERVER_SANDBOX_H
#define FS_SERVER_SANDBOX_H

/* Once, when the sockets are there and no threads are: leaves the host's mounts for a root that has nothing but this process's
 * descriptors, keeps the capabilities that files need whosever they are, and the system calls of system-calls.h. Ends the
 * process if any of that can't be. */
void enter_sandbox(void);

#endif
