/* Sends datagrams to a unix socket, which Node cannot: gets records on stdin, each a length (32 bits, little-endian) and that many
 * bytes, and sends each as one datagram. Says "ok" when it is connected, or else why not (ENOENT). Ends with its input, or when
 * nobody takes them any more. One that is too long for the socket is left out.
 *
 *   datagram-send SOCKET */

#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MAX_RECORD (256u << 10)

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: datagram-send SOCKET\n");
        return 2;
    }
    char *record = malloc(MAX_RECORD);
    int fd = record == NULL ? -1 : connect_to(argv[1]);
    puts(fd < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
    if (fd < 0)
        return 1;
    uint32_t length;
    while (fread(&length, sizeof(length), 1, stdin) == 1) {
        length = le32toh(length);
        if (length > MAX_RECORD || fread(record, 1, length, stdin) != length)
            return 1;
        while (send(fd, record, length, MSG_NOSIGNAL) < 0) {
            if (errno == EMSGSIZE)
                break;
            if (errno != EINTR && errno != ENOBUFS)
                return 1;
        }
    }
    return 0;
}
