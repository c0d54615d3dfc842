// records/: what the cluster's objects of ours hold, read and written.
//
// Custom resources of one kind as records.

import type { KubernetesListObject, KubernetesObject } from '@kubernetes/client-node';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import { watchObjects, type Watcher } from '../client/watcher';
import type { Stored, WatchedRecords } from '../contract/record-store';
import { apiGroup, apiVersion, managedBy, resourceKinds, type ResourceName } from './resource-kinds';

/** How a value lies in an object. */
export interface RecordForm<T> {
  encode(value: T): { spec: object; status?: object; labels?: Record<string, string> };
  decode(object: { spec?: unknown; status?: unknown }): T;
}

/** The value is the spec. */
export function plainForm<T extends object>(): RecordForm<T> {
  return {
    encode: (spec) => ({ spec }),
    decode: ({ spec }) => spec as T, // as it was encoded; only who may write the namespace could have put another
  };
}

interface RecordObject extends KubernetesObject {
  spec?: unknown;
  status?: unknown;
}

export class CustomRecords<T> implements WatchedRecords<T> {
  readonly #api: ClusterApi;
  readonly #plural: ResourceName;
  readonly #form: RecordForm<T>;
  readonly #watchers: Watcher[] = [];

  constructor(api: ClusterApi, plural: ResourceName, form: RecordForm<T>) {
    this.#api = api;
    this.#plural = plural;
    this.#form = form;
  }

  async list(): Promise<Stored<T>[]> {
    const { items } = await this.#list();
    return items.map((item) => this.#stored(item));
  }

  async get(name: string): Promise<Stored<T>> {
    return this.#stored(
      await callApi(() => this.#api.custom.getNamespacedCustomObject({ ...this.#where, name })),
    );
  }

  async create(name: string, value: T): Promise<Stored<T>> {
    const body = this.#object(name, value);
    return this.#stored(
      await callApi(() => this.#api.custom.createNamespacedCustomObject({ ...this.#where, body })),
    );
  }

  async replace(name: string, version: string, value: T): Promise<Stored<T>> {
    const body = this.#object(name, value, version);
    return this.#stored(
      await callApi(() => this.#api.custom.replaceNamespacedCustomObject({ ...this.#where, name, body })),
    );
  }

  async remove(name: string, version: string): Promise<void> {
    const body = { preconditions: { resourceVersion: version } };
    await callApi(() => this.#api.custom.deleteNamespacedCustomObject({ ...this.#where, name, body }));
  }

  async watch(told: { changed(stored: Stored<T>): void; removed(stored: Stored<T>): void }): Promise<void> {
    const path = `/apis/${apiGroup}/${apiVersion}/namespaces/${this.#api.namespace}/${this.#plural}`;
    // What somebody else has written by hand must not end the watch for all others.
    const guarded = (tell: (stored: Stored<T>) => void) => (object: RecordObject) => {
      try {
        tell(this.#stored(object));
      } catch (error) {
        const { name } = object.metadata ?? {};
        log.warn('an object that is no record', { kind: this.#plural, name, error: errorMessage(error) });
      }
    };
    const watcher = await watchObjects(this.#api, path, () => callApi(() => this.#list()), {
      changed: guarded((stored) => told.changed(stored)),
      removed: guarded((stored) => told.removed(stored)),
    });
    this.#watchers.push(watcher);
  }

  async close(): Promise<void> {
    await Promise.all(this.#watchers.splice(0).map((watcher) => watcher.close()));
  }

  get #where(): { group: string; version: string; namespace: string; plural: string } {
    return { group: apiGroup, version: apiVersion, namespace: this.#api.namespace, plural: this.#plural };
  }

  async #list(): Promise<KubernetesListObject<RecordObject>> {
    const answer: unknown = await callApi(() => this.#api.custom.listNamespacedCustomObject(this.#where));
    return answer as KubernetesListObject<RecordObject>; // what this call answers
  }

  #object(name: string, value: T, resourceVersion?: string): object {
    const { labels, ...content } = this.#form.encode(value);
    return {
      apiVersion: `${apiGroup}/${apiVersion}`,
      kind: resourceKinds[this.#plural],
      metadata: {
        name,
        labels: { ...managedBy, ...labels },
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      ...content,
    };
  }

  #stored(answer: unknown): Stored<T> {
    const object = answer as RecordObject; // an object of this kind, whatever its spec
    return {
      name: object.metadata?.name ?? '',
      version: object.metadata?.resourceVersion ?? '',
      value: this.#form.decode(object),
    };
  }
}
