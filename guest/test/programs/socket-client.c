/* Says a word on a unix socket, and prints the answer: what an SSH client does with its agent's. */
#include <string.h>
#include <unistd.h>

#include "connect-unix.h"

int main(int count, char **arguments)
{
    char answer[256];
    if (count != 3)
        return 2;
    int fd = connect_unix(arguments[1]);
    if (fd < 0)
        return 1;
    if (write(fd, arguments[2], strlen(arguments[2])) < 0)
        return 1;
    ssize_t length = read(fd, answer, sizeof(answer));
    if (length > 0)
        fwrite(answer, 1, (size_t)length, stdout);
    return length > 0 ? 0 : 1;
}
