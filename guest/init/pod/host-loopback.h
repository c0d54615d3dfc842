/* For a Pod on the host's network: what listens on the host's 127.0.0.1 is reached at 127.0.0.1, unless a process of the Pod
 * listens there itself. */
#ifndef CAISSON_HOST_LOOPBACK_H
#define CAISSON_HOST_LOOPBACK_H

/* `address`: where the network leads to the host's loopback, IPv4; `socket`: of the Pod's network namespace. Returns 0 or
 * -errno. */
int host_loopback_start(const char *address, int socket);
/* Harmless if it was not started. */
void host_loopback_stop(void);

#endif
