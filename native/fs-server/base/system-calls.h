/* The system calls that are left to this process: seccomp(2). */
#ifndef FS_SERVER_SYSTEM_CALLS_H
#define FS_SERVER_SYSTEM_CALLS_H

/* From now on, for this thread and those it starts: what a server of files needs works, what nobody but an intruder would call ends
 * the process, and anything else fails with EPERM. Needs no_new_privs. 0, or -1 and errno. */
int filter_system_calls(void);

#endif
