/* A daemon's way in: carries bytes between its own standard streams and process 1. */
#ifndef CAISSON_CTL_H
#define CAISSON_CTL_H

/* Until either side is over. Returns the exit code: 0, or 69 when process 1 does not listen. */
int control(const char *directory);

#endif
