// Pods that were made as such: documents in the store, and an index of them in memory.

import { DaemonError } from '../../errors';
import type { PodContainerRole, PodTemplate } from '../../api/v1/types';
import type { DocumentStore } from '../../storage/contract/stores';
import { nextPodPhase, type PodEvent, type PodPhase } from './pod-state';

const podCollection = 'pods';

export interface PodRecord {
  /** Follows from the name (named-pods.ts). */
  id: string;
  name: string;
  /** RFC 3339 with nanoseconds. */
  createdAt: string;
  template: PodTemplate;
  /** In the template's order; filled when they are made. */
  containers: { name: string; role: PodContainerRole; id: string }[];
  phase: PodPhase;
}

export class PodRecords {
  readonly #store: DocumentStore;
  readonly #byId = new Map<string, PodRecord>();

  constructor(store: DocumentStore) {
    this.#store = store;
    for (const record of store.all<PodRecord>(podCollection)) this.#byId.set(record.id, record);
  }

  list(): PodRecord[] {
    return [...this.#byId.values()];
  }

  get(id: string): PodRecord | undefined {
    return this.#byId.get(id);
  }

  /** Throws Conflict when the name is taken. */
  add(record: PodRecord): void {
    if (this.#byId.has(record.id)) {
      throw new DaemonError(
        'Conflict',
        `the Pod name "${record.name}" is already in use: remove that Pod first, or choose another name`,
      );
    }
    this.#put(record);
  }

  setContainers(id: string, containers: PodRecord['containers']): void {
    const record = this.#byId.get(id);
    if (record !== undefined) this.#put({ ...record, containers });
  }

  /** One step of the state machine, made durable. Throws Conflict where it is illegal, or the Pod is gone. */
  step(id: string, event: PodEvent): PodPhase {
    const before = this.#byId.get(id)?.phase ?? 'gone';
    const phase = this.tryStep(id, event);
    if (phase !== undefined) return phase;
    throw new DaemonError('Conflict', `Pod ${id} is ${before}: ${event} is not possible`);
  }

  /**
   * As `step`, for news that may come twice, or of a Pod without a record: undefined, and nothing is done, where it is
   * illegal.
   */
  tryStep(id: string, event: PodEvent): PodPhase | undefined {
    const record = this.#byId.get(id);
    const phase = record === undefined ? undefined : nextPodPhase(record.phase, event);
    if (record !== undefined && phase !== undefined) this.#put({ ...record, phase });
    return phase;
  }

  remove(id: string): void {
    this.#store.delete(podCollection, id);
    this.#byId.delete(id);
  }

  #put(record: PodRecord): void {
    this.#store.put(podCollection, record.id, record);
    this.#byId.set(record.id, record);
  }
}
