/* The Pod of this VM: its net, ipc and uts namespaces, its interfaces and name server. */
#include "pod/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/utsname.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "pod/dns-redirect.h"
#include "pod/dns.h"
#include "core/fields.h"
#include "process/launch.h"
#include "core/log.h"
#include "core/namespaces.h"
#include "pod/netlink.h"
#include "pod/nics.h"
#include "container/sharing.h"
#include "core/sysctl.h"

struct pod pod = { .net = -1, .ipc = -1, .uts = -1, .pid = -1 };
static int netlink = -1; /* in the Pod's network namespace */

static void leave_namespaces(void)
{
    setns(own.net, CLONE_NEWNET);
    setns(own.ipc, CLONE_NEWIPC);
    setns(own.uts, CLONE_NEWUTS);
}

static int open_namespaces(void)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return -errno;
    pod.net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    pod.ipc = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
    pod.uts = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    netlink = netlink_open();
    int lo = netlink >= 0 ? link_index(netlink, "lo") : netlink;
    int result = lo < 0 ? lo : link_set_up(netlink, lo, true);
    if (result == 0)
        result = dns_redirect_prepare(netlink);
    leave_namespaces();
    return pod.net < 0 || pod.ipc < 0 || pod.uts < 0 ? -EMFILE : result;
}

static void close_namespaces(void)
{
    drop_fd(&pod.net);
    drop_fd(&pod.ipc);
    drop_fd(&pod.uts);
    drop_fd(&netlink);
}

void pod_prepare(void)
{
    int result = open_namespaces();
    if (result < 0) {
        log_line("namespaces for a Pod: %s", strerror(-result));
        close_namespaces();
    }
}

/* In the Pod's namespaces. */
static int name_and_tune(const json_t *spec, struct failure *failure)
{
    const char *hostname, *domainname;
    json_t *sysctls;
    int result;
    if ((result = field_string(spec, "hostname", &hostname, failure)) < 0 ||
        (result = field_string(spec, "domainname", &domainname, failure)) < 0 ||
        (result = field_object(spec, "sysctls", &sysctls, failure)) < 0)
        return result;
    if (sethostname(hostname, strlen(hostname)) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "sethostname");
    /* A name that is too long is cut, as the sysctl does through which runc sets it. */
    if (setdomainname(domainname, strnlen(domainname, __NEW_UTS_LEN)) < 0)
        return fail_errno(failure, errno, PHASE_NAMESPACE, "setdomainname");
    return sysctls_write(sysctls, failure);
}

static int configure(const json_t *spec, struct failure *failure)
{
    json_t *interfaces, *routes, *servers;
    int result;
    if ((result = field_array(spec, "dnsForward", &servers, failure)) < 0 ||
        (result = field_array(spec, "interfaces", &interfaces, failure)) < 0 ||
        (result = field_array(spec, "routes", &routes, failure)) < 0)
        return result;
    for (size_t i = 0; result == 0 && i < json_array_size(interfaces); i++)
        result = nic_give(json_array_get(interfaces, i), pod.net, netlink, failure);
    if (result == 0)
        result = routes_add(routes, netlink, failure);
    if (result < 0)
        return result;
    if (setns(pod.net, CLONE_NEWNET) < 0 || setns(pod.ipc, CLONE_NEWIPC) < 0 || setns(pod.uts, CLONE_NEWUTS) < 0)
        result = fail_errno(failure, errno, PHASE_NAMESPACE, "enter the Pod's namespaces");
    else
        result = name_and_tune(spec, failure);
    leave_namespaces();
    return result < 0 ? result : dns_start(servers, failure);
}

int pod_setup(const json_t *params, struct failure *failure)
{
    json_t *spec;
    const char *id;
    int result;
    if ((result = field_object(params, "pod", &spec, failure)) < 0 || (result = field_id(spec, "id", &id, failure)) < 0)
        return result;
    if (pod.exists) {
        if (strcmp(pod.id, id) == 0) /* asked again after a lost connection */
            return 0;
        return fail(failure, EEXIST, PHASE_REQUEST, "this VM has Pod %s", pod.id);
    }
    if (pod.net < 0 && (result = open_namespaces()) < 0) {
        close_namespaces();
        return fail_errno(failure, result, PHASE_NAMESPACE, "make the Pod's namespaces");
    }
    pod.id = strdup(id);
    if (pod.id == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for a Pod");
    pod.exists = true;
    result = configure(spec, failure);
    if (result < 0)
        pod_teardown();
    return result;
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

static int need_pod(struct failure *failure)
{
    return pod.exists ? 0 : fail(failure, ENOENT, PHASE_REQUEST, "there is no Pod yet");
}

int pod_renew(const json_t *params, struct failure *failure)
{
    json_t *spec;
    const char *id;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_object(params, "pod", &spec, failure)) < 0 ||
        (result = field_id(spec, "id", &id, failure)) < 0)
        return result;
    char *name = strdup(id);
    if (name == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for a Pod");
    free(pod.id);
    pod.id = name;
    dns_stop();
    nics_take_all(netlink);
    return configure(spec, failure);
}

int pod_interface_add(const json_t *params, struct failure *failure)
{
    json_t *interface, *routes;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_object(params, "interface", &interface, failure)) < 0 ||
        (result = field_array(params, "routes", &routes, failure)) < 0 ||
        (result = nic_give(interface, pod.net, netlink, failure)) < 0)
        return result;
    return routes_add(routes, netlink, failure);
}

int pod_interface_remove(const json_t *params, struct failure *failure)
{
    int64_t number;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_integer(params, "nic", &number, failure)) < 0)
        return result;
    return nic_take(number < 0 || number > MAX_NICS ? -1 : (int)number, netlink, failure);
}

int pod_dns(const json_t *params, struct failure *failure)
{
    json_t *servers;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_array(params, "servers", &servers, failure)) < 0)
        return result;
    dns_stop();
    result = dns_start(servers, failure);
    if (result < 0)
        dns_stop();
    return result;
}

/* First process of the shared PID namespace: reaps what is orphaned there, until it is killed with the Pod. */
__attribute__((noreturn)) static void run_pause(void)
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
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

void pod_teardown(void)
{
    dns_stop();
    sharing_drop_pod();
    nics_take_all(netlink);
    if (pod.pause > 0)
        kill(pod.pause, SIGKILL);
    pod.pause = 0;
    drop_fd(&pod.pid);
    close_namespaces();
    free(pod.id);
    pod.id = NULL;
    pod.exists = false;
}
