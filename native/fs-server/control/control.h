/* What the daemon says: one command a line, one answer a line (`ok` or the name of an errno).
 *
 * This folder is the daemon's side: shares that come and go, and the state of a guest that is saved or goes on. */
#ifndef FS_SERVER_CONTROL_H
#define FS_SERVER_CONTROL_H

/* Obeys in a thread of its own, on the listening socket; 0 or an errno. */
int start_control(int listener);

#endif
