/* Keeps the network's helpers running: netd (Node), which lives in the private network namespace, netd-ports, which binds the
 * sockets of published ports for it in the host's, and slirp4netns. It outlives the daemon and ends with SIGTERM, and nothing it
 * started outlives it. It carries no data, and reads nothing that any of them says: it alone can enter namespaces. Its environment
 * is a PATH, and of capabilities it keeps what `kept_capabilities` names.
 *
 *   netd-host --netns PATH --socket PATH --pid-file PATH --ports NETD-PORTS [--user UID --group GID] [--slirp ARG]...
 *             -- NETD ARG...
 *
 * `--slirp` gives slirp4netns and its arguments one by one; the descriptors' options, the namespace's path
 * and the device's name are added. netd gets descriptor 3, Node's IPC channel, whose other end netd-ports has, and 4, the
 * listening control socket. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
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

#include "include/usual-priority.h"
#include "native/netd-filters.h"

enum { IPC_FD = 3, CONTROL_FD = 4, MAX_SLIRP_ARGS = 32, PID_FILE_CHECK_MS = 30000 };

struct supervised {
    const char *name;
    pid_t pid;            /* 0: not running */
    long long started_at; /* milliseconds */
    long long restart_at; /* 0: no restart is due */
    int failures;
};

/* Of root's; docs/security.md has them too. Its children can have no others. */
static const unsigned kept_capabilities[] = {
    CAP_NET_BIND_SERVICE, /* netd-ports: published ports below 1024 */
    CAP_SYS_ADMIN,        /* the private network namespace for netd and slirp4netns, and slirp4netns's mounts */
    CAP_SETUID,           /* netd's user */
    CAP_SETGID,           CAP_KILL, /* its end */
    CAP_NET_ADMIN,                  /* slirp4netns's device */
    CAP_SETPCAP,                    /* slirp4netns gives up all but the first itself */
};

static const char *netns_path, *socket_path, *pid_path, *ports_path;
static char *slirp_args[MAX_SLIRP_ARGS + 10];
static int slirp_arg_count;
static char **netd_args;
static uid_t netd_uid;
static gid_t netd_gid;

static struct supervised netd = { .name = "netd" }, slirp = { .name = "slirp4netns" };
static pid_t ports_pid; /* lives and dies with netd */
static int egress_news = -1, control = -1, slirp_ready = -1, slirp_exit = -1;
static bool egress_ready;

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

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A netd-ports that is gone hears it when it is started anew. */
static void send_egress(void)
{
    if (egress_news >= 0 && write(egress_news, egress_ready ? "1" : "0", 1) < 0)
        close_fd(&egress_news);
}

/* In the child: back to default signals, and an end together with the parent. */
static void child_start(pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void end_child(pid_t *pid)
{
    if (*pid > 0)
        kill(*pid, SIGKILL);
}

/* In the child, which ends with netd: the channel closes. */
static void become_ports(pid_t parent, int channel, int news)
{
    child_start(parent);
    int first = fcntl(news, F_DUPFD_CLOEXEC, 10), second = fcntl(channel, F_DUPFD_CLOEXEC, 10);
    if (first < 0 || second < 0 || dup2(first, STDIN_FILENO) < 0 || dup2(second, IPC_FD) < 0)
        fail("dup");
    execl(ports_path, ports_path, (char *)NULL);
    fail(ports_path);
}

static void become_netd(pid_t parent, int channel)
{
    child_start(parent);
    int netns = open(netns_path, O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
        fail(netns_path);
    /* both may be in each other's place */
    int first = fcntl(channel, F_DUPFD_CLOEXEC, 10), second = fcntl(control, F_DUPFD_CLOEXEC, 10);
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
    if (filter_netd() < 0)
        fail("seccomp");
    execvp(netd_args[0], netd_args);
    fail(netd_args[0]);
}

static void start_netd(void)
{
    int channel[2], news[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0 || pipe2(news, O_CLOEXEC) < 0)
        fail("socketpair");
    netd.started_at = now_ms();
    netd.restart_at = 0;
    ports_pid = fork();
    if (ports_pid == 0)
        become_ports(parent, channel[0], news[0]);
    netd.pid = fork();
    if (netd.pid == 0)
        become_netd(parent, channel[1]);
    if (ports_pid < 0 || netd.pid < 0)
        fail("fork");
    close(channel[0]);
    close(channel[1]);
    close(news[0]);
    close_fd(&egress_news);
    egress_news = news[1];
    fcntl(egress_news, F_SETFL, O_NONBLOCK); /* one that does not read holds nobody up */
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

static void reap(void)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == ports_pid) {
            ports_pid = 0;
            end_child(&netd.pid);
            continue;
        }
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
        if (child == &netd) {
            end_child(&ports_pid);
            ports_pid = 0; /* reaped as nobody's: the next one has another pid */
            close_fd(&egress_news);
        }
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
    end_child(&netd.pid);
    end_child(&ports_pid);
    end_child(&slirp.pid);
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
        { "netns", required_argument, NULL, 'n' },    { "socket", required_argument, NULL, 's' },
        { "pid-file", required_argument, NULL, 'p' }, { "ports", required_argument, NULL, 'o' },
        { "user", required_argument, NULL, 'u' },     { "group", required_argument, NULL, 'g' },
        { "slirp", required_argument, NULL, 'l' },    { NULL, 0, NULL, 0 },
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
        case 'o':
            ports_path = optarg;
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
    if (netns_path == NULL || socket_path == NULL || pid_path == NULL || ports_path == NULL || netd_args[0] == NULL) {
        fprintf(stderr, "usage: netd-host --netns PATH --socket PATH --pid-file PATH --ports PATH [--slirp ARG]... "
                        "-- NETD...\n");
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
    take_usual_priority();
    setsid();
    lock_pid_file();
    listen_control();
    keep_few_capabilities();
    if (filter_all() < 0)
        fail("seccomp");
    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
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
            { .fd = slirp_ready, .events = POLLIN },
        };
        if (poll(fds, 2, next_timeout()) < 0 && errno != EINTR)
            fail("poll");
        if (fds[1].revents != 0) {
            char byte;
            egress_ready = read(slirp_ready, &byte, 1) == 1;
            close_fd(&slirp_ready);
            if (egress_ready)
                send_egress();
        }
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
