// A container of the cluster, as this daemon knows it.

import type { ClusterRecord } from '../contract/cluster-record';
import type { Stored } from '../contract/record-store';
import type { ContainerState } from '../../semantics/containers/container-state';
import type { KnownContainer } from '../../semantics/containers/known-containers';

/** The same object as long as the container is there, also when it is renamed. Only the store assigns what is stored. */
export class ClusterContainer implements KnownContainer {
  readonly id: string;
  #stored: Stored<ClusterRecord>;

  constructor(stored: Stored<ClusterRecord>) {
    this.id = stored.value.id;
    this.#stored = stored;
  }

  get record(): ClusterRecord {
    return this.#stored.value;
  }

  get name(): string {
    return this.#stored.value.name;
  }

  get state(): ContainerState {
    return this.#stored.value.state;
  }

  get stored(): Stored<ClusterRecord> {
    return this.#stored;
  }

  /** For ContainerStore alone. */
  replace(stored: Stored<ClusterRecord>): void {
    this.#stored = stored;
  }
}
