// Services of published ports, by Kubernetes' API.

import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import type { Boundaries } from './boundaries';
import type { ServiceObjects } from './port-services';

export function serviceObjects({ core, namespace }: ClusterApi, boundaries: Boundaries): ServiceObjects {
  return {
    create: (body) => callApi(() => core.createNamespacedService({ namespace, body })),
    list: async (labelSelector) =>
      (await callApi(() => core.listNamespacedService({ namespace, labelSelector }))).items,
    remove: async (name) => {
      await callApi(() => core.deleteNamespacedService({ namespace, name }));
    },
    putPolicy: (policy) => boundaries.put(policy),
    removePolicy: (name) => boundaries.remove(name),
  };
}
