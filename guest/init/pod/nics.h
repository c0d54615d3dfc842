/* The VM's pre-provisioned NICs: parked in the VM's own network namespace as nic0, nic1 … until a Pod gets them. */
#ifndef CAISSON_NICS_H
#define CAISSON_NICS_H

#include <jansson.h>

#include "core/failure.h"

#define MAX_NICS 32

/* Numbers the NICs by their MAC addresses, lowest first, and names them. */
void nics_open(void);
/* Configures the interfaces (GuestInterface) and routes (GuestRoute) in the Pod's namespace. */
int nic_give(const json_t *interface, int namespace, int netlink, struct failure *failure);
int routes_add(const json_t *routes, int netlink, struct failure *failure);
/* Takes a NIC out of the Pod: down, template's name and MAC, no addresses. */
int nic_take(int number, int netlink, struct failure *failure);
/* Takes every NIC out of the Pod. */
void nics_take_all(int netlink);

#endif
