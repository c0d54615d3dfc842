/* The sockets of published ports: binds them in the host's network namespace, where it lives, and hands them to netd. It is the
 * one of netd-host's processes that reads what netd says, so it can do nothing else: it has one capability, no way to open a file
 * or to start a program, and ends with netd.
 *
 *   netd-ports        descriptor 0: netd-host's news of the egress, a byte `1` or `0` for each; 3: netd's IPC channel
 *
 * On the channel netd asks with a JSON string, "listen ID tcp|udp ADDRESS PORT", and gets an object: {"id","errno"}, or a
 * NODE_HANDLE message (lib/internal/child_process.js) with {"id","port"} and the socket as SCM_RIGHTS. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/system-calls.h"

enum { EGRESS_FD = 0, IPC_FD = 3, BACKLOG = 4096 };

static char line[4096]; /* what netd has sent and is not a whole line yet */
static size_t line_length;

static void fail(const char *what)
{
    fprintf(stderr, "netd-ports: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Published ports below 1024. Whoever isn't root has nothing to give up. */
static void keep_one_capability(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) < 0)
        fail("capget");
    bool may_set = (data[CAP_TO_INDEX(CAP_SETPCAP)].effective & CAP_TO_MASK(CAP_SETPCAP)) != 0;
    for (unsigned capability = 0; may_set && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        if (capability != CAP_NET_BIND_SERVICE && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            fail("bounding set");
    }
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].permitted &= i == CAP_TO_INDEX(CAP_NET_BIND_SERVICE) ? CAP_TO_MASK(CAP_NET_BIND_SERVICE) : 0;
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("drop capabilities");
}

static void keep_few_system_calls(void)
{
    static const uint32_t needed[] = {
        SYS_read,         SYS_write,           SYS_writev,     SYS_poll,        SYS_sendmsg, SYS_close,
        SYS_bind,         SYS_listen,          SYS_setsockopt, SYS_getsockname, SYS_exit,    SYS_exit_group,
        SYS_rt_sigreturn, SYS_restart_syscall, SYS_brk,        SYS_munmap,
    };
    static const struct needed_with needed_with[] = {
        { SYS_socket, 0, ~0u, AF_INET },
        { SYS_socket, 0, ~0u, AF_INET6 },
    };
    static const uint32_t fatal[] = {
        SYS_execve,  SYS_execveat, SYS_fork,  SYS_vfork, SYS_clone,   SYS_clone3, SYS_ptrace, SYS_open,    SYS_openat,
        SYS_openat2, SYS_connect,  SYS_mount, SYS_setns, SYS_unshare, SYS_kill,   SYS_bpf,    SYS_seccomp,
    };
    static struct filter filter;
    filter_begin(&filter);
    filter_answer_all(&filter, needed, sizeof(needed) / sizeof(needed[0]), SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < sizeof(needed_with) / sizeof(needed_with[0]); i++)
        filter_allow_with(&filter, needed_with[i]);
    filter_answer_all(&filter, fatal, sizeof(fatal) / sizeof(fatal[0]), SECCOMP_RET_KILL_PROCESS);
    if (filter_install(&filter, SECCOMP_RET_ERRNO | EPERM) < 0)
        fail("seccomp");
}

/* Sends one line to netd, with a descriptor if there is one. Ends with a netd that does not read: netd-host starts both anew. */
static void send_to_netd(const char *text, int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control_data = { 0 };
    size_t length = strlen(text);
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
        ssize_t sent = sendmsg(IPC_FD, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            fail("netd does not read");
        text += sent;
        length -= (size_t)sent;
        fd = -1;
    }
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
    ssize_t got = read(IPC_FD, line + line_length, sizeof(line) - line_length);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0)
        exit(0); /* netd has ended */
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

static void read_egress(void)
{
    char news[16];
    ssize_t got = read(EGRESS_FD, news, sizeof(news));
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0)
        exit(0); /* netd-host has ended */
    send_to_netd(news[got - 1] == '1' ? "{\"egress\":true}\n" : "{\"egress\":false}\n", -1);
}

int main(void)
{
    struct timeval patience = { .tv_sec = 5 };
    setsockopt(IPC_FD, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    keep_one_capability();
    keep_few_system_calls();
    for (;;) {
        struct pollfd fds[] = {
            { .fd = EGRESS_FD, .events = POLLIN },
            { .fd = IPC_FD, .events = POLLIN },
        };
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        if (fds[0].revents != 0)
            read_egress();
        if (fds[1].revents != 0)
            read_requests();
    }
}
