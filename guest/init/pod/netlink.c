/* rtnetlink(7): links, addresses and routes of the network namespace a socket was made in. */
#include "pod/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"

struct message {
    struct nlmsghdr header;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
        struct rtmsg route;
        uint8_t bytes[512];
    } body;
};

bool ip_prefix_parse(const char *text, struct ip_prefix *prefix)
{
    char address[64];
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    *prefix = (struct ip_prefix){ .family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET };
    if (inet_pton(prefix->family, address, prefix->bytes) != 1)
        return false;
    unsigned most = prefix->family == AF_INET ? 32 : 128, bits = most;
    char rest;
    if (slash != NULL && (sscanf(slash + 1, "%3u%c", &bits, &rest) != 1 || bits > most))
        return false;
    prefix->length = (uint8_t)bits;
    return true;
}

bool mac_parse(const char *text, uint8_t mac[6])
{
    unsigned parts[6];
    char rest;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5],
               &rest) != 6)
        return false;
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)parts[i];
    return true;
}

int netlink_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? -errno : fd;
}

static void begin(struct message *message, uint16_t type, uint16_t flags, size_t body)
{
    memset(message, 0, sizeof(*message));
    message->header = (struct nlmsghdr){
        .nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
        .nlmsg_type = type,
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
    };
}

static void add(struct message *message, uint16_t type, const void *data, size_t length)
{
    struct rtattr *attribute = (struct rtattr *)(void *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = (uint16_t)RTA_LENGTH(length);
    memcpy(RTA_DATA(attribute), data, length);
    message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + (uint32_t)RTA_ALIGN(attribute->rta_len);
}

/* Sends and waits for the kernel's verdict, which is there when send returns. */
static int talk(int netlink, struct message *message)
{
    if (send(netlink, message, message->header.nlmsg_len, 0) < 0)
        return -errno;
    union {
        struct nlmsghdr header;
        char bytes[4096];
    } answer;
    for (;;) {
        ssize_t length = recv(netlink, &answer, sizeof(answer), 0);
        if (length < 0)
            return -errno;
        if ((size_t)length >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) && answer.header.nlmsg_type == NLMSG_ERROR)
            return ((struct nlmsgerr *)NLMSG_DATA(&answer.header))->error;
    }
}

int link_index(int netlink, const char *name)
{
    struct ifreq request = { 0 };
    if (strlen(name) >= sizeof(request.ifr_name))
        return -ENODEV;
    memcpy(request.ifr_name, name, strlen(name));
    return ioctl(netlink, SIOCGIFINDEX, &request) < 0 ? -errno : request.ifr_ifindex;
}

static void begin_link(struct message *message, int index)
{
    begin(message, RTM_NEWLINK, 0, sizeof(message->body.link));
    message->body.link.ifi_index = index;
}

int link_move(int netlink, int index, int namespace, const char *name)
{
    struct message message;
    begin_link(&message, index);
    message.body.link.ifi_change = IFF_UP; /* down: a new name needs it */
    add(&message, IFLA_NET_NS_FD, &namespace, sizeof(namespace));
    add(&message, IFLA_IFNAME, name, strlen(name) + 1);
    return talk(netlink, &message);
}

int link_rename(int netlink, int index, const char *name)
{
    struct message message;
    begin_link(&message, index);
    add(&message, IFLA_IFNAME, name, strlen(name) + 1);
    return talk(netlink, &message);
}

int link_set_up(int netlink, int index, bool up)
{
    struct message message;
    begin_link(&message, index);
    message.body.link.ifi_change = IFF_UP;
    message.body.link.ifi_flags = up ? IFF_UP : 0;
    return talk(netlink, &message);
}

int link_set(int netlink, int index, const uint8_t *mac, uint32_t mtu)
{
    struct message message;
    begin_link(&message, index);
    if (mac != NULL)
        add(&message, IFLA_ADDRESS, mac, 6);
    if (mtu > 0)
        add(&message, IFLA_MTU, &mtu, sizeof(mtu));
    return talk(netlink, &message);
}

static size_t bytes_of(const struct ip_prefix *prefix)
{
    return prefix->family == AF_INET ? 4 : 16;
}

int address_add(int netlink, int index, const struct ip_prefix *address)
{
    struct message message;
    begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(message.body.address));
    message.body.address = (struct ifaddrmsg){
        .ifa_family = (uint8_t)address->family,
        .ifa_prefixlen = address->length,
        /* The daemon hands addresses out: looking for duplicates would only cost a second. */
        .ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0,
        .ifa_index = (uint32_t)index,
    };
    add(&message, IFA_LOCAL, address->bytes, bytes_of(address));
    add(&message, IFA_ADDRESS, address->bytes, bytes_of(address));
    if (address->family == AF_INET && address->length < 31) {
        uint8_t broadcast[4];
        for (int i = 0; i < 4; i++) {
            int host_bits = 8 * (i + 1) - address->length;
            unsigned mask = host_bits <= 0 ? 0 : host_bits >= 8 ? 0xff : (1u << host_bits) - 1;
            broadcast[i] = (uint8_t)(address->bytes[i] | mask);
        }
        add(&message, IFA_BROADCAST, broadcast, sizeof(broadcast));
    }
    return talk(netlink, &message);
}

struct found_address {
    struct ifaddrmsg header;
    uint8_t bytes[16];
    size_t length;
};

/* Collects a link's addresses. Returns their number or -errno. */
static int list_addresses(int netlink, int index, struct found_address *found, int most)
{
    struct message message;
    begin(&message, RTM_GETADDR, 0, sizeof(message.body.address));
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (send(netlink, &message, message.header.nlmsg_len, 0) < 0)
        return -errno;
    int count = 0;
    for (;;) {
        union {
            struct nlmsghdr header;
            char bytes[16384];
        } answer;
        ssize_t length = recv(netlink, &answer, sizeof(answer), 0);
        if (length < 0)
            return -errno;
        size_t left = (size_t)length;
        for (struct nlmsghdr *part = &answer.header; NLMSG_OK(part, left); part = NLMSG_NEXT(part, left)) {
            if (part->nlmsg_type == NLMSG_DONE)
                return count;
            if (part->nlmsg_type == NLMSG_ERROR)
                return ((struct nlmsgerr *)NLMSG_DATA(part))->error;
            const struct ifaddrmsg *header = NLMSG_DATA(part);
            if (part->nlmsg_type != RTM_NEWADDR || (int)header->ifa_index != index || count == most)
                continue;
            const uint8_t *local = NULL;
            size_t size = header->ifa_family == AF_INET ? 4 : 16;
            size_t rest = IFA_PAYLOAD(part);
            for (const struct rtattr *attribute = IFA_RTA(header); RTA_OK(attribute, rest);
                 attribute = RTA_NEXT(attribute, rest))
                if (RTA_PAYLOAD(attribute) == size &&
                    (attribute->rta_type == IFA_LOCAL || (attribute->rta_type == IFA_ADDRESS && local == NULL)))
                    local = RTA_DATA(attribute);
            if (local == NULL || (header->ifa_family == AF_INET6 && local[0] == 0xfe && (local[1] & 0xc0) == 0x80))
                continue;
            found[count].header = *header;
            found[count].length = size;
            memcpy(found[count++].bytes, local, size);
        }
    }
}

int addresses_flush(int netlink, int index)
{
    struct found_address found[64];
    int count = list_addresses(netlink, index, found, 64);
    for (int i = 0; i < count; i++) {
        struct message message;
        begin(&message, RTM_DELADDR, 0, sizeof(message.body.address));
        message.body.address = found[i].header;
        add(&message, IFA_LOCAL, found[i].bytes, found[i].length);
        int result = talk(netlink, &message);
        if (result < 0 && result != -EADDRNOTAVAIL)
            return result;
    }
    return count < 0 ? count : 0;
}

int route_add(int netlink, int index, const struct ip_prefix *destination, const struct ip_prefix *gateway)
{
    struct message message;
    begin(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof(message.body.route));
    message.body.route = (struct rtmsg){
        .rtm_family = (uint8_t)destination->family,
        .rtm_dst_len = destination->length,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = gateway != NULL ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST,
    };
    if (destination->length > 0)
        add(&message, RTA_DST, destination->bytes, bytes_of(destination));
    if (gateway != NULL)
        add(&message, RTA_GATEWAY, gateway->bytes, bytes_of(gateway));
    add(&message, RTA_OIF, &index, sizeof(index));
    return talk(netlink, &message);
}
