/* rtnetlink(7): links, addresses and routes of the network namespace a socket was made in. */
#ifndef CAISSON_NETLINK_H
#define CAISSON_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/* An address with its prefix length, IPv4 or IPv6. */
struct ip_prefix {
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[16];
    uint8_t length;
};

/* `10.1.2.3/24`; without a slash the length is that of a host. */
bool ip_prefix_parse(const char *text, struct ip_prefix *prefix);
/* `02:42:ac:11:00:02` */
bool mac_parse(const char *text, uint8_t mac[6]);

/* A socket in the calling thread's network namespace, or -errno. */
int netlink_open(void);
/* All below return 0 or -errno. */
int link_index(int netlink, const char *name); /* or the index */
/* To another namespace (a descriptor) under a new name; the link goes down. */
int link_move(int netlink, int index, int namespace, const char *name);
int link_rename(int netlink, int index, const char *name);
int link_set_up(int netlink, int index, bool up);
/* mac: NULL, mtu: 0: leave as it is. */
int link_set(int netlink, int index, const uint8_t *mac, uint32_t mtu);
int address_add(int netlink, int index, const struct ip_prefix *address);
/* Takes every address off a link but link-local IPv6 ones. */
int addresses_flush(int netlink, int index);
/* gateway may be NULL: the destination is on the link. A destination of length 0 is the default route. */
int route_add(int netlink, int index, const struct ip_prefix *destination, const struct ip_prefix *gateway);

#endif
