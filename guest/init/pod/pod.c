/* pod: what containers of the VM have in common: namespaces, interfaces, the name server, shared memory.
 *
 * The Pod is made, renewed and ended here, at the daemon's request. */
#include "pod/pod.h"

#include <errno.h>
#include <linux/utsname.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fields.h"
#include "core/log.h"
#include "core/sysctl.h"
#include "pod/dns.h"
#include "pod/host-loopback.h"
#include "pod/listeners.h"
#include "pod/nics.h"
#include "pod/pod-namespaces.h"
#include "pod/shared-memory.h"

void pod_prepare(void)
{
    int result = pod_namespaces_open();
    if (result < 0) {
        log_line("namespaces for a Pod: %s", strerror(-result));
        pod_namespaces_close();
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

/* Of a Pod on the host's network only. */
static int reach_host(const json_t *spec, struct failure *failure)
{
    const char *address = json_string_value(json_object_get(spec, "hostLoopback"));
    int result = address != NULL ? host_loopback_start(address, pod.netlink) : 0;
    return result < 0 ? fail_errno(failure, result, PHASE_NETWORK, "lead 127.0.0.1 to the host at %s", address) : 0;
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
        result = nic_give(json_array_get(interfaces, i), pod.net, pod.netlink, failure);
    if (result == 0)
        result = routes_add(routes, pod.netlink, failure);
    if (result < 0)
        return result;
    result = pod_namespaces_enter(failure);
    if (result == 0)
        result = name_and_tune(spec, failure);
    pod_namespaces_leave();
    if (result == 0)
        result = reach_host(spec, failure);
    return result < 0 ? result : dns_serve(servers, failure);
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
    if (pod.net < 0 && (result = pod_namespaces_open()) < 0) {
        pod_namespaces_close();
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
    host_loopback_stop();
    nics_take_all(pod.netlink);
    return configure(spec, failure);
}

int pod_interface_add(const json_t *params, struct failure *failure)
{
    json_t *interface, *routes;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_object(params, "interface", &interface, failure)) < 0 ||
        (result = field_array(params, "routes", &routes, failure)) < 0 ||
        (result = nic_give(interface, pod.net, pod.netlink, failure)) < 0)
        return result;
    return routes_add(routes, pod.netlink, failure);
}

int pod_interface_remove(const json_t *params, struct failure *failure)
{
    int64_t number;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_integer(params, "nic", &number, failure)) < 0)
        return result;
    return nic_take(number < 0 || number > MAX_NICS ? -1 : (int)number, pod.netlink, failure);
}

int pod_dns(const json_t *params, struct failure *failure)
{
    json_t *servers;
    int result;
    if ((result = need_pod(failure)) < 0 || (result = field_array(params, "servers", &servers, failure)) < 0)
        return result;
    result = dns_serve(servers, failure);
    if (result < 0)
        dns_stop();
    return result;
}

void pod_teardown(void)
{
    listeners_stop();
    dns_stop();
    host_loopback_stop();
    shared_memory_drop_pod();
    nics_take_all(pod.netlink);
    pod_namespaces_close();
    free(pod.id);
    pod.id = NULL;
    pod.exists = false;
}
