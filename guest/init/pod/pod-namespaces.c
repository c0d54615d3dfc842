/* The namespaces that containers of the Pod share: net, ipc and uts, made ahead, and pid once somebody wants it. */
#include "pod/pod-namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/namespaces.h"
#include "pod/dns-redirect.h"
#include "pod/netlink.h"
#include "process/launch.h"

struct pod pod = { .net = -1, .ipc = -1, .uts = -1, .pid = -1, .netlink = -1 };

int pod_namespaces_enter(struct failure *failure)
{
    if (setns(pod.net, CLONE_NEWNET) < 0 || setns(pod.ipc, CLONE_NEWIPC) < 0 || setns(pod.uts, CLONE_NEWUTS) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "enter the Pod's namespaces");
    return 0;
}

void pod_namespaces_leave(void)
{
    setns(own.net, CLONE_NEWNET);
    setns(own.ipc, CLONE_NEWIPC);
    setns(own.uts, CLONE_NEWUTS);
}

int pod_namespaces_open(void)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return -errno;
    pod.net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    pod.ipc = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
    pod.uts = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    pod.netlink = netlink_open();
    int lo = pod.netlink >= 0 ? link_index(pod.netlink, "lo") : pod.netlink;
    int result = lo < 0 ? lo : link_set_up(pod.netlink, lo, true);
    if (result == 0)
        result = dns_redirect_prepare(pod.netlink);
    pod_namespaces_leave();
    return pod.net < 0 || pod.ipc < 0 || pod.uts < 0 ? -EMFILE : result;
}

void pod_namespaces_close(void)
{
    if (pod.pause > 0)
        kill(pod.pause, SIGKILL);
    pod.pause = 0;
    drop_fd(&pod.pid);
    drop_fd(&pod.net);
    drop_fd(&pod.ipc);
    drop_fd(&pod.uts);
    drop_fd(&pod.netlink);
}

/* First process of the shared PID namespace: reaps what is orphaned there, until it is killed with the Pod. */
__attribute__((noreturn)) static void run_pause(void)
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    /* Sockets and pipes of the agent, which would never be closed while a copy is here. */
    syscall(SYS_close_range, 3, ~0u, 0);
    prctl(PR_SET_NAME, "pause");
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (;;) {
        siginfo_t info;
        sigwaitinfo(&set, &info);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

int pod_pid_namespace(struct failure *failure)
{
    if (pod.pid >= 0)
        return pod.pid;
    auto_fd pidfd = -1;
    pid_t pid = launch_clone(CLONE_NEWPID, -1, &pidfd);
    if (pid == 0)
        run_pause();
    if (pid < 0)
        return fail_errno(failure, pid, PHASE_NAMESPACE, "make the Pod's PID namespace");
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
    pod.pause = pid;
    pod.pid = open(path, O_RDONLY | O_CLOEXEC);
    return pod.pid >= 0 ? pod.pid : fail_errno(failure, errno, PHASE_NAMESPACE, "open the Pod's PID namespace");
}

int pod_socket(int family, int type)
{
    if (setns(pod.net, CLONE_NEWNET) < 0)
        return -errno;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -errno : fd;
    setns(own.net, CLONE_NEWNET);
    return result;
}
