// What the Pods of steps take of the host beside VMs and disks, by their ids: so that the next daemon can give back what a crash has left.

import type { NetworkManager } from '../../network/network';
import type { DocumentStore } from '../../storage/contract/stores';
import { releaseAllEndpoints } from '../networks/container-network';

const collection = 'build-steps';

export class StepJournal {
  readonly #documents: DocumentStore;
  readonly #networks: NetworkManager;

  constructor(documents: DocumentStore, networks: NetworkManager) {
    this.#documents = documents;
    this.#networks = networks;
  }

  begin(id: string): void {
    this.#documents.put(collection, id, { id });
  }

  /** Gives back what it has of the network. Never rejects. */
  async end(id: string): Promise<void> {
    await releaseAllEndpoints({ networks: this.#networks }, id);
    this.#documents.delete(collection, id);
  }

  /** At start-up. */
  async recover(): Promise<void> {
    for (const { id } of this.#documents.all<{ id: string }>(collection)) await this.end(id);
  }
}
