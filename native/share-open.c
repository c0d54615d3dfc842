/* Opens what a VM is to share, for its file server, which sees nothing of the host itself: gets lines on stdin, opens what each names,
 * hands it over to the server's control socket with the line, and prints the server's answer.
 *
 *   share-open CONTROL_SOCKET
 *
 *   add NAME ro|rw CACHE_MILLISECONDS PATH   a directory or file, by a path without links
 *   save PATH                                a new file, for the state of the guest; `load PATH`: one that is there
 *
 * Paths are the rest of their line, %XX-encoded. A share is handed over as a mount that is in no namespace: its root is the
 * directory or file, from which nothing leads up, and mounts below it are as they are now. Device nodes can't be opened by it, and
 * what is shared read-only is so for the kernel, whatever the server does. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "include/percent.h"

static void fail(const char *what)
{
    fprintf(stderr, "share-open: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A mount of what lies there, of our own making; -1 and errno. */
static int open_share(const char *path, bool readonly)
{
    /* Links were followed when the path was looked at: who has put one there since would choose what is shared. */
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd < 0 || geteuid() != 0)
        return fd; /* whoever isn't root can make no mounts, and has a server that may do what he may */
    int tree = open_tree(fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    int error = errno;
    close(fd);
    struct mount_attr attributes = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | (readonly ? MOUNT_ATTR_RDONLY : 0),
        .propagation = MS_PRIVATE,
    };
    if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0) {
        error = errno;
        close(tree);
        tree = -1;
    }
    errno = error;
    return tree;
}

/* Opens what the line names, and makes of the line what the server is told. -1 and errno. */
static int open_named(char *line)
{
    char *copy = strdup(line), *rest = copy;
    if (copy == NULL)
        fail("memory");
    const char *verb = strsep(&rest, " ");
    int fd = -1;
    errno = EINVAL;
    if (strcmp(verb, "add") == 0) {
        const char *mode = strsep(&rest, " ") != NULL ? strsep(&rest, " ") : NULL;
        if (mode != NULL && strsep(&rest, " ") != NULL && rest != NULL)
            fd = open_share(decode_percent(rest), strcmp(mode, "rw") != 0);
    } else if (rest != NULL && strcmp(verb, "save") == 0) {
        fd = open(decode_percent(rest), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        strcpy(line, "state");
    } else if (rest != NULL && strcmp(verb, "load") == 0) {
        fd = open(decode_percent(rest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        strcpy(line, "state");
    }
    int error = errno;
    free(copy);
    errno = error;
    return fd;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        fail(path);
    return fd;
}

/* Sends the line, and the descriptor with its first byte. */
static void hand_over(int server, const char *line, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ancillary = { 0 };
    struct iovec parts[2] = { { (void *)(size_t)line, strlen(line) }, { (void *)(size_t) "\n", 1 } };
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = ancillary.space, .msg_controllen = sizeof(ancillary.space)
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    ssize_t length = (ssize_t)(parts[0].iov_len + parts[1].iov_len);
    if (sendmsg(server, &message, MSG_NOSIGNAL) != length)
        fail("send"); /* a line is shorter than a socket's buffer */
    close(fd);
}

static void pass_answer(FILE *server)
{
    char answer[8192];
    if (fgets(answer, sizeof(answer), server) == NULL)
        fail("the server's answer");
    fputs(answer, stdout);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: share-open CONTROL_SOCKET\n");
        return 2;
    }
    int server = connect_to(argv[1]);
    FILE *answers = fdopen(server, "r");
    if (answers == NULL)
        fail("memory");
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        int fd = open_named(line);
        if (fd < 0) {
            printf("%s\n", strerrorname_np(errno));
            fflush(stdout);
            continue;
        }
        hand_over(server, line, fd);
        pass_answer(answers);
    }
    /* Whoever waits for us knows that the server has nothing open any more for our sake. */
    shutdown(server, SHUT_WR);
    while (fgetc(answers) != EOF)
        ;
    return 0;
}
