// The objects of the probe of policies, by Kubernetes' API.

import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import type { ProbeObjects } from './enforcement';

export function probeObjects({ core, networking, namespace }: ClusterApi): ProbeObjects {
  return {
    policy: (name) => callApi(() => networking.readNamespacedNetworkPolicy({ namespace, name })),
    createPolicy: (body) => callApi(() => networking.createNamespacedNetworkPolicy({ namespace, body })),
    replacePolicy: (name, body) =>
      callApi(() => networking.replaceNamespacedNetworkPolicy({ namespace, name, body })),
    createPod: (body) => callApi(() => core.createNamespacedPod({ namespace, body })),
    pods: async (labelSelector) =>
      (await callApi(() => core.listNamespacedPod({ namespace, labelSelector }))).items,
    deletePod: (name) => callApi(() => core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 })),
  };
}
