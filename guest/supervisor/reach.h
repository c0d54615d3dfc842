/* Does a network keep its policies? Two Pods of the daemon's probe find out: one listens, the other tries to reach it. */
#ifndef CAISSON_REACH_H
#define CAISSON_REACH_H

/* Exit codes of `reach`. */
enum {
    REACH_KEPT = 0,    /* the port that is allowed is reached, the other is not */
    REACH_IGNORED = 3, /* both are */
    REACH_UNKNOWN = 4, /* not even the one that is allowed */
};

/* Accepts and closes connections to these ports, for ever. Returns 1 where they can't be had. */
int reach_listen(char *const ports[], int count);
/* `allowed` has a while to become reachable, `denied` to become unreachable: policies take their time to hold for a new Pod. */
int reach(const char *address, const char *allowed, const char *denied);

#endif
