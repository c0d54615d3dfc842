// What the daemon does with the cluster's objects, as rules of Kubernetes' RBAC: no verb more than the code uses.

import type { V1PolicyRule } from '@kubernetes/client-node';
import { apiGroup, resourceKinds, type ResourceName } from '../records/resource-kinds';

/** Records that daemons follow, instead of asking for them. */
const watchedRecords: readonly ResourceName[] = ['containers', 'dockerevents'];

/** In the daemon's namespace. */
export function namespaceRules(): V1PolicyRule[] {
  return [
    { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch', 'create', 'patch', 'delete'] },
    { apiGroups: [''], resources: ['pods/resize'], verbs: ['patch'] },
    // By a WebSocket: a GET, for which newer API servers ask for `create`, too.
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['get', 'create', 'update', 'delete'] },
    {
      apiGroups: [''],
      resources: ['persistentvolumeclaims'],
      verbs: ['list', 'get', 'create', 'patch', 'delete'],
    },
    // of published ports
    { apiGroups: [''], resources: ['services'], verbs: ['list', 'create', 'delete'] },
    {
      apiGroups: ['networking.k8s.io'],
      resources: ['networkpolicies'],
      verbs: ['get', 'create', 'update', 'delete'],
    },
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'update'] },
    {
      apiGroups: [apiGroup],
      resources: Object.keys(resourceKinds),
      verbs: ['list', 'get', 'create', 'update', 'delete'],
    },
    { apiGroups: [apiGroup], resources: [...watchedRecords], verbs: ['watch'] },
  ];
}

/** Of the whole cluster: what `docker info` tells of nodes. */
export function clusterRules(): V1PolicyRule[] {
  return [{ apiGroups: [''], resources: ['nodes'], verbs: ['list'] }];
}

/** In kube-system: where the cluster's DNS is, which answers for names that are no container's. */
export function dnsRules(): V1PolicyRule[] {
  return [{ apiGroups: [''], resources: ['services'], resourceNames: ['kube-dns'], verbs: ['get'] }];
}
