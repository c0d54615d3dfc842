// The health of each container that has a check, as it was last found: kept across restarts of the daemon.

import type { Health } from '../../docker/types';
import type { DocumentStore } from '../../storage/contract/stores';

const collection = 'health';

interface HealthRecord {
  containerId: string;
  health: Health;
}

/** A map that is durable: what `set` and `delete` do is on disk when they return. */
export class HealthRecords {
  readonly #store: DocumentStore;
  readonly #byContainer = new Map<string, Health>();

  constructor(store: DocumentStore) {
    this.#store = store;
    for (const { containerId, health } of store.all<HealthRecord>(collection)) {
      this.#byContainer.set(containerId, health);
    }
  }

  get(containerId: string): Health | undefined {
    return this.#byContainer.get(containerId);
  }

  set(containerId: string, health: Health): void {
    this.#store.put(collection, containerId, { containerId, health } satisfies HealthRecord);
    this.#byContainer.set(containerId, health);
  }

  delete(containerId: string): void {
    if (this.#byContainer.delete(containerId)) this.#store.delete(collection, containerId);
  }

  /** Forgets containers that are not there any more: their removal was cut short by a crash. */
  keepOnly(isKnown: (containerId: string) => boolean): void {
    for (const containerId of [...this.#byContainer.keys()]) {
      if (!isKnown(containerId)) this.delete(containerId);
    }
  }
}
