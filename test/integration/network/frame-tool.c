/* Sends or dumps raw Ethernet frames, for the tests that play a hostile guest.
 *   frame-tool send IFACE HEX...      frame-tool dump IFACE MILLISECONDS */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int open_packet(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
    address.sll_ifindex = (int)if_nametoindex(name);
    if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        perror(name);
        exit(1);
    }
    return fd;
}

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
    unsigned char frame[2048];
    if (argc < 4)
        return 2;
    int fd = open_packet(argv[2]);
    if (strcmp(argv[1], "send") == 0) {
        for (int i = 3; i < argc; i++) {
            size_t length = strlen(argv[i]) / 2;
            for (size_t at = 0; at < length && at < sizeof(frame); at++) {
                unsigned byte = 0;
                sscanf(argv[i] + 2 * at, "%2x", &byte);
                frame[at] = (unsigned char)byte;
            }
            if (send(fd, frame, length, 0) < 0)
                perror("send");
        }
        return 0;
    }
    puts("ready");
    fflush(stdout);
    for (long end = now() + atol(argv[3]); now() < end;) {
        struct pollfd entry = { .fd = fd, .events = POLLIN };
        struct sockaddr_ll from;
        socklen_t size = sizeof(from);
        if (poll(&entry, 1, (int)(end - now())) < 1)
            continue;
        ssize_t length = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &size);
        if (length < 0 || from.sll_pkttype == PACKET_OUTGOING)
            continue;
        for (ssize_t at = 0; at < length; at++)
            printf("%02x", frame[at]);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
