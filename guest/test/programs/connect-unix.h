/* What the clients of unix sockets among these programs begin with. */
#ifndef CAISSON_CONNECT_UNIX_H
#define CAISSON_CONNECT_UNIX_H

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A descriptor, or -1, which it has said why. */
static int connect_unix(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    perror("connect");
    return -1;
}

#endif
