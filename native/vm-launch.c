/* Starts QEMU for one VM: enters the private network namespace, makes the VM's taps, opens what QEMU must
 * inherit, gives up every privilege and becomes QEMU, in a session of its own so that it outlives the daemon.
 *
 *   vm-launch [--netns PATH] [--tap FD:NAME]... [--socket FD:PATH]... [--open FD:PATH]...
 *             [--share FD:PATH]... [--readonly LIBRARY:PATH] [--user UID:GID:GROUP] [--log PATH] -- PROGRAM ARG...
 *
 * FD is the number QEMU's command line refers to. A tap is not persistent: it goes when QEMU does. Sockets
 * are made here, so that QEMU needs no access to their directory and nobody but our user can connect.
 * --readonly has QEMU open PATH for reading only, by means of LIBRARY (preload/readonly-memory.c). Errors go
 * to stderr, as do QEMU's own unless there is a --log. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/close_range.h>

#include "include/usual-priority.h"

/* QEMU's whole environment: nothing of the daemon's. */
static const char *environment[4] = { "PATH=/usr/bin:/bin", NULL };

static void die(const char *what, const char *which)
{
    fprintf(stderr, "vm-launch: %s %s: %s\n", what, which, strerror(errno));
    exit(125);
}

static void complain(const char *what)
{
    fprintf(stderr, "vm-launch: %s\n", what);
    exit(125);
}

static int number(const char *text, char end, const char **rest)
{
    char *after;
    errno = 0;
    long value = strtol(text, &after, 10);
    if (errno != 0 || after == text || *after != end || value < 0 || value > 0x7fffffff)
        complain("not a number where one belongs");
    *rest = after + 1;
    return (int)value;
}

/* Puts `fd` where QEMU expects it; it stays open over exec. */
static void place(int fd, int wanted, const char *what)
{
    if (fd == wanted)
        return;
    if (dup2(fd, wanted) < 0)
        die("dup2", what);
    close(fd);
}

/* A text that lives as long as the process. */
static const char *setting(const char *name, const char *value)
{
    char *text;
    if (asprintf(&text, "%s=%s", name, value) < 0)
        die("allocate", name);
    return text;
}

static void open_tap(const char *option)
{
    const char *name;
    int wanted = number(option, ':', &name);
    struct ifreq request = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) };
    if (strlen(name) >= sizeof(request.ifr_name))
        complain("a tap's name is too long");
    memcpy(request.ifr_name, name, strlen(name) + 1);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (fd < 0)
        die("open", "/dev/net/tun");
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        die("make tap", name);
    place(fd, wanted, name);
}

static void open_file(const char *option, int flags)
{
    const char *path;
    int wanted = number(option, ':', &path);
    int fd = open(path, flags);
    if (fd < 0)
        die("open", path);
    place(fd, wanted, path);
}

/* A listening unix socket that only our own user may connect to. */
static void open_socket(const char *option)
{
    const char *path;
    int wanted = number(option, ':', &path);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path))
        complain("a socket's path is too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        die("make socket", path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
        die("listen on", path);
    place(fd, wanted, path);
}

static void preload(const char *option)
{
    const char *colon = strchr(option, ':');
    if (colon == NULL)
        complain("--readonly needs LIBRARY:PATH");
    char *library = strndup(option, (size_t)(colon - option));
    if (library == NULL)
        die("allocate", option);
    environment[1] = setting("LD_PRELOAD", library);
    environment[2] = setting("CAISSON_READONLY", colon + 1);
}

static void enter_network(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("open", path);
    if (setns(fd, CLONE_NEWNET) < 0)
        die("enter network namespace", path);
    close(fd);
}

/* UID:GID:GROUP: the user, its group, and a supplementary group (that of /dev/kvm; the same as GID: none). */
static void become(const char *option)
{
    const char *rest;
    uid_t uid = (uid_t)number(option, ':', &rest);
    gid_t gid = (gid_t)number(rest, ':', &rest);
    gid_t group = (gid_t)number(rest, '\0', &rest);
    if (setgroups(1, &group) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        die("become user", option);
    if (setuid(0) == 0)
        complain("privileges came back");
}

static void set_limit(int resource, rlim_t value)
{
    struct rlimit limit = { value, value };
    if (setrlimit(resource, &limit) < 0)
        die("setrlimit", "");
}

int main(int argc, char **argv)
{
    const char *user = NULL;
    const char *log = NULL;
    int at = 1;
    take_usual_priority();
    umask(0077);
    /* Whatever the daemon has open is not QEMU's. */
    if (syscall(SYS_close_range, 3U, ~0U, (unsigned)CLOSE_RANGE_UNSHARE) < 0 && errno != ENOSYS)
        die("close", "inherited files");
    for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
        const char *value = argv[at + 1];
        if (strcmp(argv[at], "--netns") == 0)
            enter_network(value);
        else if (strcmp(argv[at], "--tap") == 0)
            open_tap(value);
        else if (strcmp(argv[at], "--socket") == 0)
            open_socket(value);
        else if (strcmp(argv[at], "--readonly") == 0)
            preload(value);
        else if (strcmp(argv[at], "--open") == 0)
            open_file(value, O_RDONLY);
        else if (strcmp(argv[at], "--share") == 0)
            open_file(value, O_RDWR);
        else if (strcmp(argv[at], "--user") == 0)
            user = value;
        else if (strcmp(argv[at], "--log") == 0)
            log = value;
        else
            complain("unknown option");
    }
    if (at + 1 >= argc)
        complain("usage: vm-launch [--netns PATH] [--tap FD:NAME] [--socket FD:PATH] [--open FD:PATH]"
                 " [--share FD:PATH] [--readonly LIBRARY:PATH] [--user UID:GID:GROUP] [--log PATH] -- PROGRAM ARG...");
    int output = log == NULL ? STDERR_FILENO : open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output < 0)
        die("open", log);
    if (chdir("/") < 0)
        die("enter", "/");
    setsid();
    /* The daemon's signal mask and ignored signals are not QEMU's. */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_NOFILE, 4096);
    if (user != NULL) {
        /* The user is this VM's alone: its vCPUs and I/O threads, and no more. */
        set_limit(RLIMIT_NPROC, 1024);
        become(user);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        die("prctl", "no_new_privs");
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        die("redirect", "output");
    /* execve takes strings it does not write to. */
    execve(argv[at + 1], argv + at + 1, (char *const *)(uintptr_t)environment);
    die("run", argv[at + 1]);
}
