/* Lets containers reach the name server at port 53 of 127.0.0.11 while it listens at another: port 53 of every address
 * stays free for a name server of their own, as with Docker's. */
#ifndef CAISSON_DNS_REDIRECT_H
#define CAISSON_DNS_REDIRECT_H

#include <stdint.h>

#define DNS_PORT 53
/* Of the ephemeral range, so that nobody gets it by chance; Docker's is a random one. */
#define DNS_LISTEN_PORT 56353

/* Makes the programs for the network namespace that `socket` belongs to. Returns 0 or -errno. */
int dns_redirect_prepare(int socket);
/* Puts them to work for all containers. */
int dns_redirect_start(void);
void dns_redirect_stop(void);

#endif
