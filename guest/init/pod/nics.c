/* The VM's pre-provisioned NICs: parked in the VM's own network namespace as nic0, nic1 … until a Pod gets them. */
#include "pod/nics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/log.h"
#include "core/namespaces.h"
#include "pod/netlink.h"

static struct {
    uint8_t mac[6];      /* the template's */
    char name[IFNAMSIZ]; /* in the Pod; empty: parked */
} nics[MAX_NICS];
static int nic_count;
static int own_netlink = -1;

struct candidate {
    uint8_t mac[6];
    char name[IFNAMSIZ];
};

static int by_mac(const void *left, const void *right)
{
    return memcmp(((const struct candidate *)left)->mac, ((const struct candidate *)right)->mac, 6);
}

static void parked_name(int number, char name[IFNAMSIZ])
{
    snprintf(name, IFNAMSIZ, "nic%d", number);
}

static bool read_mac(DIR *directory, const char *name, uint8_t mac[6])
{
    char path[300], text[32];
    snprintf(path, sizeof(path), "%s/device", name);
    if (faccessat(dirfd(directory), path, F_OK, 0) < 0)
        return false; /* lo, and what else is no device */
    snprintf(path, sizeof(path), "%s/address", name);
    auto_fd fd = openat(dirfd(directory), path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (length < 17)
        return false;
    text[17] = '\0';
    return mac_parse(text, mac);
}

void nics_open(void)
{
    own_netlink = netlink_open();
    struct candidate found[MAX_NICS];
    auto_directory directory = opendir("/sys/class/net");
    if (own_netlink < 0 || directory == NULL)
        die("cannot list the network interfaces");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL && nic_count < MAX_NICS;)
        if (strlen(entry->d_name) < IFNAMSIZ && read_mac(directory, entry->d_name, found[nic_count].mac))
            memcpy(found[nic_count++].name, entry->d_name, strlen(entry->d_name) + 1);
    qsort(found, (size_t)nic_count, sizeof(found[0]), by_mac);
    for (int i = 0; i < nic_count; i++) {
        char name[IFNAMSIZ];
        parked_name(i, name);
        int index = link_index(own_netlink, found[i].name);
        int result = index < 0 ? index : link_rename(own_netlink, index, name);
        if (result < 0)
            die("rename %s: %s", found[i].name, strerror(-result));
        memcpy(nics[i].mac, found[i].mac, 6);
    }
}

static int configure(const json_t *interface, int netlink, int index, const uint8_t mac[6], uint32_t mtu,
                     struct failure *failure)
{
    const char *name = json_string_value(json_object_get(interface, "name"));
    const json_t *addresses = json_object_get(interface, "addresses");
    int result = link_set(netlink, index, mac, mtu);
    if (result == 0)
        result = addresses_flush(netlink, index);
    for (size_t i = 0; result == 0 && i < json_array_size(addresses); i++) {
        struct ip_prefix address;
        const char *text = json_string_value(json_array_get(addresses, i));
        if (text == NULL || !ip_prefix_parse(text, &address))
            return fail(failure, EINVAL, PHASE_REQUEST, "bad address of interface %s", name);
        result = address_add(netlink, index, &address);
    }
    if (result == 0)
        result = link_set_up(netlink, index, true);
    if (result < 0)
        return fail_errno(failure, result, PHASE_NETWORK, "configure interface %s", name);
    return 0;
}

int nic_give(const json_t *interface, int namespace, int netlink, struct failure *failure)
{
    int64_t number, mtu;
    const char *name, *mac_text;
    json_t *addresses;
    uint8_t mac[6];
    int result;
    if ((result = field_integer(interface, "nic", &number, failure)) < 0 ||
        (result = field_string(interface, "name", &name, failure)) < 0 ||
        (result = field_string(interface, "mac", &mac_text, failure)) < 0 ||
        (result = field_array(interface, "addresses", &addresses, failure)) < 0 ||
        (result = field_integer(interface, "mtu", &mtu, failure)) < 0)
        return result;
    if (number < 0 || number >= nic_count)
        return fail(failure, ENODEV, PHASE_NETWORK, "the VM has no NIC %lld", (long long)number);
    if (!mac_parse(mac_text, mac) || *name == '\0' || strlen(name) >= IFNAMSIZ || mtu < 0 || mtu > 65535)
        return fail(failure, EINVAL, PHASE_REQUEST, "bad interface %s", name);
    int index;
    if (nics[number].name[0] == '\0') {
        char parked[IFNAMSIZ];
        parked_name((int)number, parked);
        index = link_index(own_netlink, parked);
        result = index < 0 ? index : link_move(own_netlink, index, namespace, name);
        if (result < 0)
            return fail_errno(failure, result, PHASE_NETWORK, "move NIC %lld to the Pod", (long long)number);
    } else if (strcmp(nics[number].name, name) != 0) {
        index = link_index(netlink, nics[number].name);
        result = index < 0 ? index : link_set_up(netlink, index, false);
        result = result < 0 ? result : link_rename(netlink, index, name);
        if (result < 0)
            return fail_errno(failure, result, PHASE_NETWORK, "rename interface %s", name);
    }
    memcpy(nics[number].name, name, strlen(name) + 1);
    index = link_index(netlink, name);
    if (index < 0)
        return fail_errno(failure, index, PHASE_NETWORK, "find interface %s", name);
    return configure(interface, netlink, index, mac, (uint32_t)mtu, failure);
}

int routes_add(const json_t *routes, int netlink, struct failure *failure)
{
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const json_t *route = json_array_get(routes, i);
        const char *destination, *interface, *gateway = json_string_value(json_object_get(route, "gateway"));
        struct ip_prefix to, via;
        int result;
        if ((result = field_string(route, "destination", &destination, failure)) < 0 ||
            (result = field_string(route, "interface", &interface, failure)) < 0)
            return result;
        bool sound = strcmp(destination, "default") == 0
                         ? ip_prefix_parse(gateway != NULL && strchr(gateway, ':') ? "::/0" : "0.0.0.0/0", &to)
                         : ip_prefix_parse(destination, &to);
        if (!sound || (gateway != NULL && !ip_prefix_parse(gateway, &via)))
            return fail(failure, EINVAL, PHASE_REQUEST, "bad route to %s", destination);
        int index = link_index(netlink, interface);
        result = index < 0 ? index : route_add(netlink, index, &to, gateway != NULL ? &via : NULL);
        if (result < 0)
            return fail_errno(failure, result, PHASE_NETWORK, "add the route to %s", destination);
    }
    return 0;
}

int nic_take(int number, int netlink, struct failure *failure)
{
    if (number < 0 || number >= nic_count)
        return fail(failure, ENODEV, PHASE_NETWORK, "the VM has no NIC %d", number);
    if (nics[number].name[0] == '\0')
        return 0;
    char parked[IFNAMSIZ];
    parked_name(number, parked);
    /* A privileged container may have renamed or deleted things; what can't be found can't be taken back. */
    int index = link_index(netlink, nics[number].name);
    int result = index < 0 ? index : addresses_flush(netlink, index);
    result = result < 0 ? result : link_move(netlink, index, own.net, parked);
    if (result == 0) {
        index = link_index(own_netlink, parked);
        result = index < 0 ? index : link_set_up(own_netlink, index, false);
        result = result < 0 ? result : link_set(own_netlink, index, nics[number].mac, 1500);
    }
    if (result < 0)
        return fail_errno(failure, result, PHASE_NETWORK, "take NIC %d out of the Pod", number);
    nics[number].name[0] = '\0';
    return 0;
}

void nics_take_all(int netlink)
{
    for (int i = 0; i < nic_count; i++) {
        struct failure failure;
        if (nic_take(i, netlink, &failure) < 0)
            log_line("%s", failure.message);
    }
}
