/* Starts QEMU for one VM: enters the private network namespace, makes the VM's taps, opens what QEMU must
 * inherit, gives up every privilege and becomes QEMU, in a session of its own so that it outlives the daemon.
 *
 *   vm-launch [--netns PATH] [--tap FD:NAME]... [--socket FD:PATH]... [--open FD:PATH]...
 *             [--share FD:PATH]... [--readonly LIBRARY:PATH] [--user UID:GID:GROUP] [--log PATH]
 *             [--seed LIBRARY:FD:ID] [--preload LIBRARY] -- PROGRAM ARG...
 *   vm-launch [OPTION VALUE]... -- fork SOCKET ID
 *
 * FD is the number QEMU's command line refers to. A tap is not persistent: it goes when QEMU does. Sockets
 * are made here, so that QEMU needs no access to their directory and nobody but our user can connect.
 * --readonly has QEMU open PATH for reading only, by means of LIBRARY (preload/readonly-memory.c). Errors go
 * to stderr, as do QEMU's own unless there is a --log.
 *
 * --seed has QEMU fork itself for others, by means of LIBRARY (preload/forkable.c): it may become other users, and nothing else.
 * The second form asks the seed that listens on SOCKET for a child, hands it what was opened, and writes its pid to stdout. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
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
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/close_range.h>

#include "include/usual-priority.h"
#include "seed-request.h"

/* QEMU's whole environment: nothing of the daemon's. */
static const char *environment[5] = { "PATH=/usr/bin:/bin", NULL };
static int environment_count = 2; /* the libraries come before their values */
/* Libraries that are loaded into it, `:` between them. */
static const char *preloaded;

/* Numbers of the files that QEMU is handed. */
static int handed[SEED_FILES];
static int handed_count;

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
    if (handed_count == SEED_FILES)
        complain("too many files");
    handed[handed_count++] = wanted;
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

static void preload(const char *library)
{
    if (preloaded == NULL)
        preloaded = library;
    else if (asprintf((char **)(uintptr_t)&preloaded, "%s:%s", preloaded, library) < 0)
        die("allocate", library);
}

/* LIBRARY:VALUE, which the library finds in the variable `name`. */
static void preload_with(const char *name, const char *option)
{
    const char *colon = strchr(option, ':');
    if (colon == NULL)
        complain("a library needs a value: LIBRARY:VALUE");
    char *library = strndup(option, (size_t)(colon - option));
    if (library == NULL)
        die("allocate", option);
    environment[environment_count++] = setting(name, colon + 1);
    preload(library);
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
struct user {
    uid_t uid;
    gid_t gid;
    gid_t group;
};

static struct user parse_user(const char *option)
{
    const char *rest;
    struct user user = { .uid = (uid_t)number(option, ':', &rest) };
    user.gid = (gid_t)number(rest, ':', &rest);
    user.group = (gid_t)number(rest, '\0', &rest);
    return user;
}

/* Of root's rights a seed keeps those to become its children's users. */
static void keep_users(void)
{
    const int kept[] = { CAP_SETUID, CAP_SETGID };
    const unsigned mask = 1U << CAP_SETUID | 1U << CAP_SETGID;
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { .effective = mask, .permitted = mask, .inheritable = mask } };
    if (syscall(SYS_capset, &header, data) < 0)
        die("keep", "capabilities");
    for (int i = 0; i < 2; i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0) < 0)
            die("keep", "capabilities over exec");
}

static void become(const char *option, bool is_seed)
{
    struct user user = parse_user(option);
    if (is_seed && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        die("keep", "capabilities");
    if (setgroups(1, &user.group) < 0 || setresgid(user.gid, user.gid, user.gid) < 0 ||
        setresuid(user.uid, user.uid, user.uid) < 0)
        die("become user", option);
    if (is_seed) {
        keep_users();
        return;
    }
    if (setuid(0) == 0)
        complain("privileges came back");
}

static void set_limit(int resource, rlim_t value)
{
    struct rlimit limit = { value, value };
    if (setrlimit(resource, &limit) < 0)
        die("setrlimit", "");
}

/* Of 10 ms each: for the seed to see that a client has gone. */
static const int most_tries = 500;

/* Longer than a seed tries. */
static const struct timeval answer_time = { .tv_sec = 30 };

/* Sends the request with all files. 0 and the child's pid, or an errno. */
static struct seed_answer ask_seed(const char *socket_path, const struct seed_request *request, const int *files)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(socket_path) >= sizeof(address.sun_path))
        complain("a socket's path is too long");
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect to", socket_path);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &answer_time, sizeof(answer_time)) < 0)
        die("set the time of", socket_path);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * SEED_FILES)];
    } control = { 0 };
    size_t bytes = sizeof(int) * (size_t)request->count;
    struct iovec data = { (void *)(uintptr_t)request, sizeof(*request) };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(bytes)
    };
    control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(bytes) };
    memcpy(CMSG_DATA(&control.header), files, bytes);
    struct seed_answer answer;
    if (sendmsg(fd, &message, MSG_NOSIGNAL) != (ssize_t)sizeof(*request))
        die("ask", socket_path);
    ssize_t size = recv(fd, &answer, sizeof(answer), MSG_WAITALL);
    if (size != (ssize_t)sizeof(answer))
        complain("the seed has no answer");
    close(fd);
    return answer;
}

static void fork_seed(const char *socket_path, const char *id, const char *user)
{
    struct seed_request request = { .uid = -1, .gid = -1, .group = -1, .count = handed_count };
    if (strlen(id) >= sizeof(request.id) || handed_count == SEED_FILES)
        complain("more than can be asked for");
    memcpy(request.id, id, strlen(id));
    if (user != NULL) {
        struct user wanted = parse_user(user);
        request.uid = (int32_t)wanted.uid;
        request.gid = (int32_t)wanted.gid;
        request.group = (int32_t)wanted.group;
    }
    int files[SEED_FILES];
    for (int i = 0; i < handed_count; i++)
        files[i] = request.places[i] = handed[i];
    files[request.count] = request.places[request.count] = STDERR_FILENO;
    request.count++;
    struct seed_answer answer = ask_seed(socket_path, &request, files);
    for (int tries = 0; answer.error == EAGAIN && tries < most_tries; tries++) {
        usleep(10000);
        answer = ask_seed(socket_path, &request, files);
    }
    errno = answer.error;
    if (answer.error != 0)
        die("fork", "the seed");
    printf("%d\n", answer.pid);
}

int main(int argc, char **argv)
{
    const char *user = NULL;
    const char *log = NULL;
    const char *seed = NULL;
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
            preload_with("CAISSON_READONLY", value);
        else if (strcmp(argv[at], "--seed") == 0)
            preload_with("CAISSON_SEED", seed = value);
        else if (strcmp(argv[at], "--preload") == 0)
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
                 " [--share FD:PATH] [--readonly LIBRARY:PATH] [--user UID:GID:GROUP] [--log PATH]"
                 " [--seed LIBRARY:FD:ID] [--preload LIBRARY] -- PROGRAM ARG... | fork SOCKET ID");
    if (strcmp(argv[at + 1], "fork") == 0 && at + 4 == argc) {
        fork_seed(argv[at + 2], argv[at + 3], user);
        return 0;
    }
    if (preloaded != NULL)
        environment[1] = setting("LD_PRELOAD", preloaded);
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
        become(user, seed != NULL);
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
