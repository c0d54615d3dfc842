/* What the guest refers to by number, in a file: saved while the guest is held and its vCPUs are stopped, and loaded by the
 * server of a VM that goes on from there. */
#ifndef FS_SERVER_SAVED_STATE_H
#define FS_SERVER_SAVED_STATE_H

enum { MAX_REASON = 4608 };

/**
 * Writes a new file, and to the disk. 0 or an errno; with a `reason` where the errno does not say enough: the guest has a file
 * open that can't be found again.
 */
int save_state(const char *path, char reason[MAX_REASON]);
/**
 * Into a server that has its shares, under the names that they had, and has not answered anything. Files are looked for below
 * their share and never through a link. What is not found, or is not the file that it was, stays unknown: its numbers answer
 * ESTALE. Where a share is another file or directory than it was, its files go by their paths.
 * 0 or an errno, with a `reason` as above: a lock is somebody else's by now. Then the server is of no more use.
 */
int load_state(const char *path, char reason[MAX_REASON]);

#endif
