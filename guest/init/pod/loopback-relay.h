/* Makes what listens on the loopback of the Pod alone reachable for the daemon's network helper: a port of the Pod's for each,
 * which lets in nobody else. */
#ifndef CAISSON_LOOPBACK_RELAY_H
#define CAISSON_LOOPBACK_RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Between these two `relay_to` says which relays are needed; those that it does not name are closed by the second, and their
 * connections go on. `peer`: who is let in. */
void relays_begin(struct in_addr peer);
void relays_end(void);
/* The port of the Pod that leads to this TCP address of its loopback; 0: there can be none now. */
uint16_t relay_to(bool six, const uint8_t address[16], uint16_t port);
/* Whether this port of the Pod is one of them. */
bool is_relay(uint16_t port);
/* Closes all, and their connections. */
void relays_stop(void);

#endif
