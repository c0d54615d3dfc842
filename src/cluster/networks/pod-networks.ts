// What of networks lies on a running container's Pod: labels that boundaries select by, and the table of its name server.

import { PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import { errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';

export const namesAnnotation = 'caisson.io/names';
const clusterDns = { namespace: 'kube-system', name: 'kube-dns' };

export class PodNetworks {
  readonly #api: ClusterApi;
  #upstreams: Promise<string[]> | undefined;

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  /** Undefined takes a label or an annotation off. Does nothing for a Pod that is gone. */
  async patch(
    name: string,
    changes: { labels?: Record<string, string | null>; annotations?: Record<string, string | null> },
  ): Promise<void> {
    const { core, namespace } = this.#api;
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    try {
      await callApi(() => core.patchNamespacedPod({ namespace, name, body: { metadata: changes } }, options));
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
  }

  /** Who knows the names that are no container's: the cluster's DNS, where it is found by its usual name. */
  upstreams(): Promise<string[]> {
    this.#upstreams ??= this.#findDns();
    return this.#upstreams;
  }

  async #findDns(): Promise<string[]> {
    try {
      const { spec } = await callApi(() => this.#api.core.readNamespacedService(clusterDns));
      return spec?.clusterIP === undefined ? [] : [spec.clusterIP];
    } catch (error) {
      log.info("the cluster's DNS is not known; containers of networks know each other's names alone", {
        error: errorMessage(error),
      });
      return [];
    }
  }
}
