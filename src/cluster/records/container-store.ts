// The containers of the namespace: read from a watch, written with the version that was read.

import { DaemonError, isDaemonError } from '../../errors';
import type { ClusterRecord } from '../contract/cluster-record';
import type { Stored, WatchedRecords } from '../contract/record-store';
import {
  compareCreated,
  findContainer,
  getContainer,
  nameInUse,
  type ContainerIndex,
  type KnownContainers,
} from '../../semantics/containers/known-containers';
import {
  nextContainerState,
  type ContainerEvent,
  type ContainerState,
} from '../../semantics/containers/container-state';
import { ClusterContainer } from './cluster-container';
import { containerObjectName } from './container-form';

/** Undefined before: it is new. Undefined after: it is gone. */
export type ContainerListener = (
  container: ClusterContainer,
  before: ClusterRecord | undefined,
  after: ClusterRecord | undefined,
) => void;

/** A writer that comes too late so often has another trouble. */
const mostAttempts = 50;

export class ContainerStore implements KnownContainers<ClusterContainer> {
  readonly #records: WatchedRecords<ClusterRecord>;
  readonly #byId = new Map<string, ClusterContainer>();
  readonly #idByName = new Map<string, string>();
  readonly #listeners = new Set<ContainerListener>();
  readonly #index: ContainerIndex<ClusterContainer> = {
    byId: (id) => this.#byId.get(id),
    byName: (name) => this.#byId.get(this.#idByName.get(name) ?? ''),
    all: () => this.#byId.values(),
  };

  constructor(records: WatchedRecords<ClusterRecord>) {
    this.#records = records;
  }

  /** Resolves when all containers are known. */
  async start(): Promise<void> {
    await this.#records.watch({
      changed: (stored) => void this.#take(stored),
      removed: (stored) => this.#drop(stored),
    });
  }

  list(): ClusterContainer[] {
    return [...this.#byId.values()].sort((a, b) => compareCreated(b.record, a.record));
  }

  byId(id: string): ClusterContainer | undefined {
    return this.#byId.get(id);
  }

  find(ref: string): ClusterContainer | undefined {
    return findContainer(this.#index, ref);
  }

  get(ref: string): ClusterContainer {
    return getContainer(this.#index, ref);
  }

  /** As `get`, and what another daemon has made a moment ago is found, too. */
  async resolve(ref: string): Promise<ClusterContainer> {
    if (ref === '' || this.find(ref) !== undefined) return this.get(ref);
    await this.refresh();
    return this.get(ref);
  }

  /** Takes what the cluster has now, instead of waiting for it to be told. */
  async refresh(): Promise<void> {
    for (const stored of await this.#records.list()) this.#take(stored);
  }

  nameIsFree(name: string): boolean {
    return !this.#idByName.has(name);
  }

  /** Throws Conflict in Docker's words when the name is taken. */
  async create(record: ClusterRecord): Promise<ClusterContainer> {
    return this.#take(await this.#make(record));
  }

  /**
   * The record after `change`, which is tried again on what another has written meanwhile; nothing is written where it gives
   * undefined. Throws NotFound in Docker's words for a container that is gone.
   */
  async update(
    container: ClusterContainer,
    change: (record: ClusterRecord) => ClusterRecord | undefined,
  ): Promise<ClusterRecord> {
    let { stored } = container;
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const next = change(stored.value);
      if (next === undefined) return stored.value;
      try {
        return this.#take(await this.#records.replace(stored.name, stored.version, next)).record;
      } catch (error) {
        if (isDaemonError(error, 'NotFound')) throw gone(container);
        if (!isDaemonError(error, 'Conflict')) throw error;
      }
      stored = await this.#latest(container);
    }
    throw new DaemonError('Unavailable', `container ${container.id} is being changed by others all the time`);
  }

  /** One step of the state machine, with what belongs to it. Undefined, and nothing is written, when it is illegal. */
  async transition(
    container: ClusterContainer,
    event: (record: ClusterRecord) => ContainerEvent | undefined,
    changes: (record: ClusterRecord, next: ContainerState) => Partial<ClusterRecord> = () => ({}),
  ): Promise<ClusterRecord | undefined> {
    let next: ClusterRecord | undefined;
    const step = (now: ClusterRecord): ClusterRecord | undefined => {
      const happening = event(now);
      const state = happening === undefined ? undefined : nextContainerState(now.state, happening);
      next = state === undefined ? undefined : { ...now, ...changes(now, state), state };
      return next;
    };
    await this.update(container, step);
    return next;
  }

  /** Throws Conflict when the name is taken. For a moment both objects are there; the one with the new name counts. */
  async rename(container: ClusterContainer, name: string): Promise<void> {
    const before = container.stored;
    this.#take(await this.#make({ ...before.value, name }));
    await this.#records.remove(before.name, before.version);
    this.#idByName.delete(before.value.name);
  }

  async remove(container: ClusterContainer): Promise<void> {
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const { stored } = container;
      try {
        await this.#records.remove(stored.name, stored.version);
        this.#drop(stored);
        return;
      } catch (error) {
        if (isDaemonError(error, 'NotFound')) {
          this.#drop(stored);
          return;
        }
        if (!isDaemonError(error, 'Conflict')) throw error;
      }
      this.#take(await this.#latest(container));
    }
  }

  /** Called after each change, of whomever. Returns what ends it. */
  onChange(listener: ContainerListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #make(record: ClusterRecord): Promise<Stored<ClusterRecord>> {
    const name = containerObjectName(record.name);
    try {
      return await this.#records.create(name, record);
    } catch (error) {
      if (!isDaemonError(error, 'Conflict')) throw error;
      const holder = await this.#records.get(name).catch(() => undefined);
      throw nameInUse(record.name, holder?.value.id ?? '');
    }
  }

  async #latest(container: ClusterContainer): Promise<Stored<ClusterRecord>> {
    try {
      return await this.#records.get(container.stored.name);
    } catch (error) {
      if (isDaemonError(error, 'NotFound')) throw gone(container);
      throw error;
    }
  }

  #take(stored: Stored<ClusterRecord>): ClusterContainer {
    const known = this.#byId.get(stored.value.id);
    if (known !== undefined && !isLater(stored, known.stored)) return known;
    const before = known?.record;
    const container = known ?? new ClusterContainer(stored);
    known?.replace(stored);
    this.#byId.set(container.id, container);
    if (before !== undefined && before.name !== stored.value.name) this.#idByName.delete(before.name);
    this.#idByName.set(stored.value.name, container.id);
    this.#tell(container, before, stored.value);
    return container;
  }

  #drop(stored: Stored<ClusterRecord>): void {
    const container = this.#byId.get(stored.value.id);
    // Of one that was renamed the old object goes.
    if (container?.stored.name !== stored.name) return;
    this.#byId.delete(container.id);
    if (this.#idByName.get(container.name) === container.id) this.#idByName.delete(container.name);
    this.#tell(container, container.record, undefined);
  }

  #tell(
    container: ClusterContainer,
    before: ClusterRecord | undefined,
    after: ClusterRecord | undefined,
  ): void {
    for (const listener of [...this.#listeners]) listener(container, before, after);
  }
}

/** Versions of one cluster are numbers that only grow. */
function isLater(a: Stored<unknown>, b: Stored<unknown>): boolean {
  return BigInt(a.version === '' ? 0 : a.version) > BigInt(b.version === '' ? 0 : b.version);
}

function gone(container: ClusterContainer): DaemonError {
  return new DaemonError('NotFound', `No such container: ${container.id}`);
}
