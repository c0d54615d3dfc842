// core/: what is true, whoever runs: records, state machines and their index, who waits, and what Docker says
// of it. Nothing here drives a VM.
//
// Every container the daemon knows: documents in the store, an index of them in memory, and each one's queue.

import { DaemonError } from '../../errors';
import type { DocumentStore } from '../../storage/contract/stores';
import { containerCollection, type ContainerRecord } from '../../semantics/containers/container-record';
import {
  nextContainerState,
  type ContainerEvent,
  type ContainerState,
  type ContainerStateKind,
} from '../../semantics/containers/container-state';
import {
  compareCreated,
  findContainer,
  getContainer,
  nameInUse,
  type ContainerIndex,
  type KnownContainer,
  type KnownContainers,
} from '../../semantics/containers/known-containers';
import { FileUses } from './file-uses';
import { OperationQueue } from '../../async/operation-queue';

/** A container in memory. `record` is replaced, never changed in place; only the registry assigns it. */
export class Container implements KnownContainer {
  readonly id: string;
  /** Lifecycle operations queue here; `wait`, `attach`, `logs` and reads do not. */
  readonly operations = new OperationQueue();
  /** Execs that were created and are not yet forgotten. Not kept across a restart of the daemon, as in Docker. */
  readonly execIds = new Set<string>();
  readonly fileUses = new FileUses();
  #record: ContainerRecord;

  constructor(record: ContainerRecord) {
    this.id = record.id;
    this.#record = record;
  }

  get record(): ContainerRecord {
    return this.#record;
  }

  get state(): ContainerState {
    return this.#record.state;
  }

  get name(): string {
    return this.#record.name;
  }

  /** For ContainerRegistry alone. */
  replaceRecord(record: ContainerRecord): void {
    this.#record = record;
  }
}

/** What of the record may change with a step of the state machine. */
export type StepChanges = Partial<Omit<ContainerRecord, 'id' | 'state' | 'name'>>;

/** Called after each step of a container's state machine was recorded. */
export type StateListener = (container: Container, before: ContainerStateKind) => void;

export class ContainerRegistry implements KnownContainers<Container> {
  readonly #store: DocumentStore;
  readonly #byId = new Map<string, Container>();
  readonly #idByName = new Map<string, string>();
  readonly #listeners = new Set<StateListener>();
  readonly #index: ContainerIndex<Container> = {
    byId: (id) => this.#byId.get(id),
    byName: (name) => this.#byId.get(this.#idByName.get(name) ?? ''),
    all: () => this.#byId.values(),
  };

  constructor(store: DocumentStore) {
    this.#store = store;
  }

  /** Reads all records. Once, at start-up. */
  load(): void {
    for (const record of this.#store.all<ContainerRecord>(containerCollection)) {
      this.#byId.set(record.id, new Container(record));
      this.#idByName.set(record.name, record.id);
    }
  }

  /** Newest first, as `docker ps` lists them. */
  list(): Container[] {
    const containers = [...this.#byId.values()];
    return containers.sort((a, b) => compareCreated(b.record, a.record));
  }

  /** By full id. */
  byId(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  /** By id, name (with or without slash) or unique id prefix. Throws NotFound, InvalidParameter for '', or Internal when the prefix is ambiguous. */
  get(ref: string): Container {
    return getContainer(this.#index, ref);
  }

  /** As `get`, but undefined when there is none. An ambiguous prefix throws all the same. */
  find(ref: string): Container | undefined {
    return findContainer(this.#index, ref);
  }

  /** Takes `name` for `id`; throws Conflict in Docker's words if another has it. `add` or `releaseName` follows. */
  reserveName(name: string, id: string): void {
    const holder = this.#idByName.get(name);
    if (holder !== undefined && holder !== id) {
      throw nameInUse(name, holder);
    }
    this.#idByName.set(name, id);
  }

  nameIsFree(name: string): boolean {
    return !this.#idByName.has(name);
  }

  /** Gives back a name that was reserved for `id`. */
  releaseName(name: string, id: string): void {
    if (this.#idByName.get(name) === id) this.#idByName.delete(name);
  }

  /** Records a new container. */
  add(record: ContainerRecord): Container {
    this.reserveName(record.name, record.id);
    this.#store.put(containerCollection, record.id, record);
    const container = new Container(record);
    this.#byId.set(record.id, container);
    return container;
  }

  /** Replaces parts of the record other than its state, and makes that durable. */
  update(container: Container, changes: StepChanges): void {
    this.#write(container, { ...container.record, ...changes });
  }

  /** Throws Conflict when the name is taken. */
  rename(container: Container, name: string): void {
    const before = container.name;
    if (before === name) return;
    this.reserveName(name, container.id);
    this.#write(container, { ...container.record, name });
    this.releaseName(before, container.id);
  }

  /**
   * One step of the state machine: computed, recorded, then told to the listeners. Changes of other parts that belong
   * to the step are recorded with it. Throws Conflict, and does nothing, when the event is illegal in this state.
   */
  transition(container: Container, event: ContainerEvent, changes: StepChanges = {}): ContainerState {
    const { kind } = container.state;
    const state = this.tryTransition(container, event, changes);
    if (state !== undefined) return state;
    throw new DaemonError('Conflict', `container ${container.id} is ${kind}: ${event.kind} is not possible`);
  }

  /** As `transition`, where an event that comes too late or twice is nothing wrong: undefined when it is illegal. */
  tryTransition(
    container: Container,
    event: ContainerEvent,
    changes: StepChanges = {},
  ): ContainerState | undefined {
    const before = container.state;
    const state = nextContainerState(before, event);
    if (state === undefined) return undefined;
    this.#write(container, { ...container.record, ...changes, state });
    for (const listener of this.#listeners) listener(container, before.kind);
    return state;
  }

  onTransition(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets the container and frees its name. */
  remove(container: Container): void {
    this.#store.delete(containerCollection, container.id);
    this.#byId.delete(container.id);
    this.releaseName(container.name, container.id);
  }

  #write(container: Container, record: ContainerRecord): void {
    this.#store.put(containerCollection, record.id, record);
    container.replaceRecord(record);
  }
}
