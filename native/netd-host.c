/* The host's half of the network helper: stays in the host's network namespace, binds the sockets of
 * published ports there and hands them to netd (Node), which lives in the private one; keeps netd and
 * slirp4netns running. It outlives the daemon and ends with SIGTERM, and nothing it started outlives it. It
 * carries no data. Its environment is a PATH, and of capabilities it keeps what `kept_capabilities` names.
 *
 *   netd-host --netns PATH --socket PATH --pid-file PATH [--user UID --group GID] [--slirp ARG]... -- NETD
 *   ARG...
 *
 * `--slirp` gives slirp4netns and its arguments one by one; the descriptors' options, the namespace's path
 * and the device's name are added. netd gets descriptor 3, Node's IPC channel, and 4, the listening control
 * socket. On the channel netd asks with a JSON string, "listen ID tcp|udp ADDRESS PORT", and gets an object:
 * {"id","errno"}, or a NODE_HANDLE message (lib/internal/child_process.js) with {"id","port"} and the socket
 * as SCM_RIGHTS. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { IPC_FD = 3, CONTROL_FD = 4, MAX_SLIRP_ARGS = 32, BACKLOG = 4096, PID_FILE_CHECK_MS = 30000 };

struct supervised {
    const char *name;
    pid_t pid;            /* 0: not running */
    long long started_at; /* milliseconds */
    long long restart_at; /* 0: no restart is due */
    int failures;
};

/* Of root's; docs/security.md has them too. Its children can have no others. */
static const unsigned kept_capabilities[] = {
    CAP_NET_BIND_SERVICE, /* published ports below 1024 */
    CAP_SYS_ADMIN,        /* the private network namespace for netd and slirp4netns, and slirp4netns's mounts */
    CAP_SETUID,           /* netd's user */
    CAP_SETGID,           CAP_KILL, /* its end */
    CAP_NET_ADMIN,                  /* slirp4netns's device */
    CAP_SETPCAP,                    /* slirp4netns gives up all but the first itself */
};

static const char *netns_path, *socket_path, *pid_path;
static char *slirp_args[MAX_SLIRP_ARGS + 10];
static int slirp_arg_count;
static char **netd_args;
static uid_t netd_uid;
static gid_t netd_gid;

static struct supervised netd = { .name = "netd" }, slirp = { .name = "slirp4netns" };
static int ipc = -1, control = -1, slirp_ready = -1, slirp_exit = -1;
static bool egress_ready;
static char line[4096]; /* what netd has sent and is not a whole line yet */
static size_t line_length;

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    fprintf(stderr, "netd-host: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Whoever isn't root has none to give up. */
static void keep_few_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3], kept[_LINUX_CAPABILITY_U32S_3] = { 0 };
    for (size_t i = 0; i < sizeof(kept_capabilities) / sizeof(kept_capabilities[0]); i++)
        kept[CAP_TO_INDEX(kept_capabilities[i])].permitted |= CAP_TO_MASK(kept_capabilities[i]);
    if (syscall(SYS_capget, &header, data) < 0)
        fail("capget");
    bool may_set = (data[CAP_TO_INDEX(CAP_SETPCAP)].effective & CAP_TO_MASK(CAP_SETPCAP)) != 0;
    /* as many as the kernel knows */
    for (unsigned capability = 0; may_set && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        bool keeps = (kept[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)) != 0;
        if (!keeps && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            fail("bounding set");
    }
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].permitted &= kept[i].permitted;
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("drop capabilities");
}

/* Sends one line to netd, with a descriptor if there is one. A netd that does not read is killed and started
 * anew. */
static void send_to_netd(const char *text, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control_data = { 0 };
    size_t length = strlen(text);
    if (ipc < 0)
        return;
    while (length > 0) {
        struct iovec part = { .iov_base = (char *)(size_t)text, .iov_len = length };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
        if (fd >= 0) {
            message.msg_control = control_data.space;
            message.msg_controllen = sizeof(control_data.space);
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        }
        ssize_t sent = sendmsg(ipc, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            fprintf(stderr, "netd-host: netd does not read: %s\n", strerror(errno));
            if (netd.pid > 0)
                kill(netd.pid, SIGKILL);
            return;
        }
        text += sent;
        length -= (size_t)sent;
        fd = -1;
    }
}

static void send_egress(void)
{
    send_to_netd(egress_ready ? "{\"egress\":true}\n" : "{\"egress\":false}\n", -1);
}

/* Returns a bound (and, for TCP, listening) socket of this namespace, or -errno. */
static int open_port(bool tcp, const char *address, unsigned port)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    bool v6 = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
    if (!v6 && inet_pton(AF_INET, address, &four.sin_addr) != 1)
        return -EINVAL;
    int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, one = 1;
    int fd = socket(v6 ? AF_INET6 : AF_INET, type, 0);
    if (fd < 0)
        return -errno;
    if (tcp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    const struct sockaddr *where = v6 ? (const struct sockaddr *)&six : (const struct sockaddr *)&four;
    if (bind(fd, where, v6 ? sizeof(six) : sizeof(four)) < 0 || (tcp && listen(fd, BACKLOG) < 0)) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
        return 0;
    return ntohs(name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                            : ((struct sockaddr_in *)&name)->sin_port);
}

static void handle_line(const char *text)
{
    unsigned id, port;
    char protocol[4], address[INET6_ADDRSTRLEN], reply[256];
    /* Anything else is Node's own (NODE_HANDLE_ACK). */
    if (sscanf(text, "\"listen %u %3[a-z] %45[0-9a-fA-F.:] %u\"", &id, protocol, address, &port) != 4)
        return;
    bool tcp = strcmp(protocol, "tcp") == 0;
    int fd = port > 65535 ? -EINVAL : open_port(tcp, address, port);
    if (fd < 0) {
        snprintf(reply, sizeof(reply), "{\"id\":%u,\"errno\":%d}\n", id, -fd);
        send_to_netd(reply, -1);
        return;
    }
    snprintf(reply, sizeof(reply), "{\"cmd\":\"NODE_HANDLE\",\"type\":\"%s.Native\",\"msg\":{\"id\":%u,\"port\":%u}}\n",
             tcp ? "net" : "dgram", id, port_of(fd));
    send_to_netd(reply, fd);
    close(fd);
}

static void read_requests(void)
{
    ssize_t got = read(ipc, line + line_length, sizeof(line) - line_length);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) { /* its end is seen by SIGCHLD */
        close(ipc);
        ipc = -1;
        return;
    }
    line_length += (size_t)got;
    char *end;
    while ((end = memchr(line, '\n', line_length)) != NULL) {
        *end = '\0';
        handle_line(line);
        line_length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, line_length);
    }
    if (line_length == sizeof(line))
        line_length = 0; /* no request is that long */
}

/* In the child: back to default signals, and an end together with the parent. */
static void child_start(pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void start_netd(void)
{
    int pair[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        fail("socketpair");
    netd.started_at = now_ms();
    netd.restart_at = 0;
    netd.pid = fork();
    if (netd.pid < 0)
        fail("fork");
    if (netd.pid == 0) {
        child_start(parent);
        int netns = open(netns_path, O_RDONLY | O_CLOEXEC);
        if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
            fail(netns_path);
        /* both may be in each other's place */
        int first = fcntl(pair[1], F_DUPFD_CLOEXEC, 10), second = fcntl(control, F_DUPFD_CLOEXEC, 10);
        if (first < 0 || second < 0 || dup2(first, IPC_FD) < 0 || dup2(second, CONTROL_FD) < 0)
            fail("dup");
        if (netd_uid != 0) {
            if (setgroups(0, NULL) < 0 || setresgid(netd_gid, netd_gid, netd_gid) < 0 ||
                setresuid(netd_uid, netd_uid, netd_uid) < 0)
                fail("setresuid");
            child_start(parent); /* a change of user has cleared it */
        }
        setenv("NODE_CHANNEL_FD", "3", 1);
        setenv("NODE_CHANNEL_SERIALIZATION_MODE", "json", 1);
        execvp(netd_args[0], netd_args);
        fail(netd_args[0]);
    }
    close(pair[1]);
    if (ipc >= 0)
        close(ipc);
    ipc = pair[0];
    line_length = 0;
    struct timeval patience = { .tv_sec = 5 };
    setsockopt(ipc, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    send_egress();
}

/*
 * slirp4netns makes its sandbox by leaving the old root behind, and what it unmounts there below a
 * shared mount is unmounted on the host as well: /run/netns/NAME, /run/user/UID and our own
 * namespace's name. Mounts of the host still reach it, so it keeps none of them busy. */
static void keep_mounts_to_itself(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        fail("a mount namespace for slirp4netns");
}

static void start_slirp(void)
{
    int ready[2], hold[2];
    pid_t parent = getpid();
    if (slirp_arg_count == 0)
        return;
    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0)
        fail("pipe2");
    slirp.started_at = now_ms();
    slirp.restart_at = 0;
    slirp.pid = fork();
    if (slirp.pid < 0)
        fail("fork");
    if (slirp.pid == 0) {
        static char ready_option[32], exit_option[32];
        child_start(parent);
        keep_mounts_to_itself();
        int n = slirp_arg_count;
        snprintf(ready_option, sizeof(ready_option), "--ready-fd=%d", ready[1]);
        snprintf(exit_option, sizeof(exit_option), "--exit-fd=%d", hold[0]);
        fcntl(ready[1], F_SETFD, 0);
        fcntl(hold[0], F_SETFD, 0);
        slirp_args[n++] = ready_option;
        slirp_args[n++] = exit_option;
        slirp_args[n++] = (char *)(size_t) "--netns-type=path";
        slirp_args[n++] = (char *)(size_t)netns_path;
        slirp_args[n++] = (char *)(size_t) "egress0";
        slirp_args[n] = NULL;
        execvp(slirp_args[0], slirp_args);
        fail(slirp_args[0]);
    }
    close(ready[1]);
    close(hold[0]);
    slirp_ready = ready[0];
    slirp_exit = hold[1]; /* slirp4netns ends when this closes, so also with us */
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void reap(void)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct supervised *child = pid == netd.pid ? &netd : pid == slirp.pid ? &slirp : NULL;
        if (child == NULL)
            continue;
        child->pid = 0;
        if (now_ms() - child->started_at > 10000)
            child->failures = 0;
        int shift = child->failures < 9 ? child->failures : 9;
        child->failures++;
        child->restart_at = now_ms() + (100LL << shift);
        fprintf(stderr, "netd-host: %s ended (status %#x), restart\n", child->name, (unsigned)status);
        if (child == &netd)
            close_fd(&ipc);
        if (child == &slirp) {
            close_fd(&slirp_ready);
            close_fd(&slirp_exit);
            egress_ready = false;
            send_egress();
        }
    }
}

static void stop_children(void)
{
    if (netd.pid > 0)
        kill(netd.pid, SIGKILL);
    if (slirp.pid > 0)
        kill(slirp.pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
}

static void lock_pid_file(void)
{
    int fd = open(pid_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(pid_path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "netd-host: another one runs\n");
        exit(75);
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        fail(pid_path);
    /* stays open, and with it the lock */
}

static void listen_control(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(socket_path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(socket_path);
    }
    strcpy(address.sun_path, socket_path);
    unlink(socket_path);
    umask(0177);
    control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control < 0 || bind(control, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(control, 16) < 0)
        fail(socket_path);
}

static void parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        { "netns", required_argument, NULL, 'n' },
        { "socket", required_argument, NULL, 's' },
        { "pid-file", required_argument, NULL, 'p' },
        { "user", required_argument, NULL, 'u' },
        { "group", required_argument, NULL, 'g' },
        { "slirp", required_argument, NULL, 'l' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            netns_path = optarg;
            break;
        case 's':
            socket_path = optarg;
            break;
        case 'p':
            pid_path = optarg;
            break;
        case 'u':
            netd_uid = (uid_t)strtoul(optarg, NULL, 10);
            break;
        case 'g':
            netd_gid = (gid_t)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            if (slirp_arg_count < MAX_SLIRP_ARGS)
                slirp_args[slirp_arg_count++] = optarg;
            break;
        default:
            exit(2);
        }
    }
    netd_args = argv + optind;
    if (netns_path == NULL || socket_path == NULL || pid_path == NULL || netd_args[0] == NULL) {
        fprintf(stderr, "usage: netd-host --netns PATH --socket PATH --pid-file PATH [--slirp ARG]... -- NETD...\n");
        exit(2);
    }
}

/* Until a restart is due, or the pid file should be looked for again. */
static int next_timeout(void)
{
    long long due = now_ms() + PID_FILE_CHECK_MS;
    if (netd.restart_at > 0 && netd.restart_at < due)
        due = netd.restart_at;
    if (slirp.restart_at > 0 && slirp.restart_at < due)
        due = slirp.restart_at;
    long long left = due - now_ms();
    return left < 0 ? 0 : (int)left;
}

int main(int argc, char **argv)
{
    sigset_t signals;
    parse_arguments(argc, argv);
    setsid();
    lock_pid_file();
    listen_control();
    keep_few_capabilities();
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int events = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (events < 0)
        fail("signalfd");
    start_slirp();
    start_netd();
    for (;;) {
        struct pollfd fds[] = {
            { .fd = events, .events = POLLIN },
            { .fd = ipc, .events = POLLIN },
            { .fd = slirp_ready, .events = POLLIN },
        };
        if (poll(fds, 3, next_timeout()) < 0 && errno != EINTR)
            fail("poll");
        if (fds[2].revents != 0) {
            char byte;
            egress_ready = read(slirp_ready, &byte, 1) == 1;
            close_fd(&slirp_ready);
            if (egress_ready)
                send_egress();
        }
        if (fds[1].revents != 0)
            read_requests();
        struct signalfd_siginfo info;
        while (read(events, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
                stop_children();
                unlink(socket_path);
                return 0;
            }
            if (info.ssi_signo == SIGCHLD)
                reap();
        }
        if (access(pid_path, F_OK) < 0) { /* the run directory was removed: nobody will find us again */
            stop_children();
            return 0;
        }
        if (netd.restart_at > 0 && netd.restart_at <= now_ms())
            start_netd();
        if (slirp.restart_at > 0 && slirp.restart_at <= now_ms())
            start_slirp();
    }
}
