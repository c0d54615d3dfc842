#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/write-all.h"

/* Process 1 may be about to listen: the container runs as soon as it has been started. */
#define ATTEMPTS 500
#define ATTEMPT_MS 20
#define UNAVAILABLE 69

static int connect_to(const char *directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", directory);
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || length < 0 || (size_t)length >= sizeof(address.sun_path))
        return -1;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
            return take_fd(&fd);
        if (errno != ENOENT && errno != ECONNREFUSED)
            return -1;
        poll(NULL, 0, ATTEMPT_MS);
    }
    return -1;
}

/* False: no more comes from there, or can be taken here. */
static bool carry(int from, int to)
{
    static uint8_t buffer[65536];
    ssize_t got = read(from, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR)
        return true;
    return got > 0 && write_all(to, buffer, (size_t)got) == 0;
}

/* Whoever signals all processes of the container does not mean those that bring its output. */
static void block_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

/* Each direction has a process of its own, so that one that is full holds up nobody else. */
int control(const char *directory)
{
    block_signals();
    auto_fd fd = connect_to(directory);
    if (fd < 0) {
        dprintf(STDERR_FILENO, "the supervisor does not listen in %s: %s\n", directory, strerror(errno));
        return UNAVAILABLE;
    }
    pid_t pid = fork();
    if (pid < 0)
        return UNAVAILABLE;
    if (pid == 0) {
        while (carry(STDIN_FILENO, fd))
            ;
        shutdown(fd, SHUT_WR);
        _exit(0);
    }
    while (carry(fd, STDOUT_FILENO))
        ;
    kill(pid, SIGKILL); /* it may wait for what nobody reads any more */
    return 0;
}
