/* For integration tests: answers every UDP query on ADDRESS:53 with the address 10.9.8.7. */
#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(53) }, peer;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (argc != 2 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0)
        return 1;
    for (;;) {
        uint8_t packet[512 + 16];
        socklen_t size = sizeof(peer);
        ssize_t length = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&peer, &size);
        if (length < 12)
            continue;
        static const uint8_t flags[] = { 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0 };
        static const uint8_t answer[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 8, 7 };
        memcpy(packet + 2, flags, sizeof(flags));
        memcpy(packet + length, answer, sizeof(answer));
        sendto(fd, packet, (size_t)length + sizeof(answer), 0, (struct sockaddr *)&peer, size);
    }
}
