/* Asks an SSH agent on a unix socket for its keys, and prints the answer. */
#include <unistd.h>

#include "connect-unix.h"

int main(int count, char **arguments)
{
    static const unsigned char question[] = { 0, 0, 0, 1, 11 };
    char answer[4096];
    if (count != 2)
        return 2;
    int fd = connect_unix(arguments[1]);
    if (fd < 0)
        return 1;
    if (write(fd, question, sizeof(question)) < 0)
        return 1;
    size_t length = 0, wanted = 4; /* the length of the rest comes first */
    while (length < wanted && wanted <= sizeof(answer)) {
        ssize_t got = read(fd, answer + length, wanted - length);
        if (got <= 0)
            return 1;
        length += (size_t)got;
        if (length == 4)
            wanted += (size_t)(unsigned char)answer[2] << 8 | (unsigned char)answer[3];
    }
    return fwrite(answer, 1, length, stdout) == length ? 0 : 1;
}
