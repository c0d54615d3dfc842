/* Says a word on a unix socket, and prints the answer: what an SSH client does with its agent's. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char answer[256];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (count != 3 || fd < 0)
        return 2;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", arguments[1]);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        perror("connect");
        return 1;
    }
    if (write(fd, arguments[2], strlen(arguments[2])) < 0)
        return 1;
    ssize_t length = read(fd, answer, sizeof(answer));
    if (length > 0)
        fwrite(answer, 1, (size_t)length, stdout);
    return length > 0 ? 0 : 1;
}
