// NetworkPolicies of the namespace: one for each network, and one for what holds without any.

import type { V1NetworkPolicy } from '@kubernetes/client-node';
import { isDaemonError } from '../../errors';
import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import { predefinedNetworkIds } from './labels';
import { isolationPolicy, networkPolicy, policyName, type NetworkBoundary } from './policies';

const managed = { 'app.kubernetes.io/managed-by': 'caisson' };

export class Boundaries {
  readonly #api: ClusterApi;

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  /** What every namespace has: nobody reaches anybody, and the default bridge. */
  async start(): Promise<void> {
    await this.put(isolationPolicy(managed));
    await this.draw({ id: predefinedNetworkIds.bridge, internal: false, interContainer: true });
  }

  async draw(boundary: NetworkBoundary): Promise<void> {
    await this.put(networkPolicy(boundary, managed));
  }

  async erase(networkId: string): Promise<void> {
    await this.remove(policyName(networkId));
  }

  /** Does nothing where there is none. */
  async remove(name: string): Promise<void> {
    const { networking, namespace } = this.#api;
    await callApi(() => networking.deleteNamespacedNetworkPolicy({ namespace, name })).catch(
      (error: unknown) => {
        if (!isDaemonError(error, 'NotFound')) throw error;
      },
    );
  }

  /** Makes it, or lets it be this. */
  async put(body: V1NetworkPolicy): Promise<void> {
    const { networking, namespace } = this.#api;
    const name = body.metadata?.name ?? '';
    try {
      await callApi(() => networking.createNamespacedNetworkPolicy({ namespace, body }));
    } catch (error) {
      if (!isDaemonError(error, 'Conflict')) throw error;
      await callApi(() => networking.replaceNamespacedNetworkPolicy({ namespace, name, body }));
    }
  }
}
