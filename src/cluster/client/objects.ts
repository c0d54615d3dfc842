// Secrets and claims of the namespace, in the few ways in which they are used.

import { PatchStrategy, setHeaderOptions, type V1PersistentVolumeClaim } from '@kubernetes/client-node';
import { isDaemonError } from '../../errors';
import { callApi } from './api-error';
import type { ClusterApi } from './cluster-api';

const managedLabel = { 'app.kubernetes.io/managed-by': 'caisson' };

/** Secrets of the namespace, of texts or of bytes. */
export class Secrets {
  readonly #api: ClusterApi;

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  /** Makes it, or lets it have these contents. */
  async put(name: string, type: string, data: Readonly<Record<string, string | Buffer>>): Promise<void> {
    const { core, namespace } = this.#api;
    const body = {
      metadata: { name, labels: managedLabel },
      type,
      data: Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      ),
    };
    try {
      await callApi(() => core.createNamespacedSecret({ namespace, body }));
    } catch (error) {
      if (!isDaemonError(error, 'Conflict')) throw error;
      await callApi(() => core.replaceNamespacedSecret({ namespace, name, body }));
    }
  }

  /** Undefined where there is none. */
  async get(name: string): Promise<Readonly<Record<string, string>> | undefined> {
    const { core, namespace } = this.#api;
    try {
      const { data } = await callApi(() => core.readNamespacedSecret({ namespace, name }));
      return Object.fromEntries(
        Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
      );
    } catch (error) {
      if (isDaemonError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Does nothing where there is none. */
  async remove(name: string): Promise<void> {
    const { core, namespace } = this.#api;
    await callApi(() => core.deleteNamespacedSecret({ namespace, name })).catch((error: unknown) => {
      if (!isDaemonError(error, 'NotFound')) throw error;
    });
  }
}

/** Claims of the namespace that are ours. */
export class Claims {
  readonly #api: ClusterApi;

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  async list(): Promise<V1PersistentVolumeClaim[]> {
    const { core, namespace } = this.#api;
    const labelSelector = 'app.kubernetes.io/managed-by=caisson';
    const { items } = await callApi(() =>
      core.listNamespacedPersistentVolumeClaim({ namespace, labelSelector }),
    );
    return items;
  }

  get(name: string): Promise<V1PersistentVolumeClaim> {
    const { core, namespace } = this.#api;
    return callApi(() => core.readNamespacedPersistentVolumeClaim({ namespace, name }));
  }

  create(body: V1PersistentVolumeClaim): Promise<V1PersistentVolumeClaim> {
    const { core, namespace } = this.#api;
    return callApi(() => core.createNamespacedPersistentVolumeClaim({ namespace, body }));
  }

  /** Takes an annotation off. Does nothing where there is no such claim. */
  async unmark(name: string, annotation: string): Promise<void> {
    const { core, namespace } = this.#api;
    const body = { metadata: { annotations: { [annotation]: null } } };
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    try {
      await callApi(() => core.patchNamespacedPersistentVolumeClaim({ namespace, name, body }, options));
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
  }

  async remove(name: string): Promise<void> {
    const { core, namespace } = this.#api;
    await callApi(() => core.deleteNamespacedPersistentVolumeClaim({ namespace, name }));
  }
}
