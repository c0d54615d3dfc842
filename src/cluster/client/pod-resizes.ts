// The subresource `resize` of Pods, by Kubernetes' API.

import {
  PatchStrategy,
  setHeaderOptions,
  type V1Pod,
  type V1ResourceRequirements,
} from '@kubernetes/client-node';
import { callApi } from './api-error';
import type { ClusterApi } from './cluster-api';

export class PodResizes {
  readonly #api: Pick<ClusterApi, 'core' | 'namespace'>;

  constructor(api: Pick<ClusterApi, 'core' | 'namespace'>) {
    this.#api = api;
  }

  /** Whether this API server has it. */
  async areThere(): Promise<boolean> {
    const { resources } = await callApi(() => this.#api.core.getAPIResources());
    return resources.some(({ name }) => name === 'pods/resize');
  }

  /** Asks for it: whether its node does it is in the Pod's status later. */
  resize(name: string, container: string, resources: V1ResourceRequirements): Promise<V1Pod> {
    const { core, namespace } = this.#api;
    const options = setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch);
    const body = { spec: { containers: [{ name: container, resources }] } };
    return callApi(() => core.patchNamespacedPodResize({ namespace, name, body }, options));
  }
}
