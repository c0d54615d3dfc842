// What was made before: by each key the layers that it led to. Records keep their layers in the store until they are pruned.

import { randomBytes } from 'node:crypto';
import type { CacheRecord, CacheRecordType } from '../../contract/cache-records';
import type { BuildHost } from '../../contract/host';
import { log } from '../../../log';
import { errorMessage } from '../../../errors';

const recordCollection = 'buildkit-records';
/** Of a record: those that were found last. */
const maxKeys = 32;
const ownerPrefix = 'buildkit-';

export interface ResultRecord {
  readonly id: string;
  readonly keys: readonly string[];
  /** By output: diff IDs, lowest first. */
  readonly outputs: readonly (readonly string[])[];
  readonly parents: readonly string[];
  readonly type: CacheRecordType;
  readonly description: string;
  /** Layers that it brought. */
  readonly ownLayers: readonly string[];
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  readonly usageCount: number;
}

export class CachedResults {
  readonly #host: BuildHost;
  readonly #byId = new Map<string, ResultRecord>();
  readonly #byKey = new Map<string, string>();
  /** How many running builds use a record. */
  readonly #uses = new Map<string, number>();

  constructor(host: BuildHost) {
    this.#host = host;
    const records = host.documents.all<ResultRecord>(recordCollection);
    for (const record of records) this.#remember(record);
  }

  /** What a key led to, if all of it is still there. It is used until `release`. */
  find(key: string): { record: ResultRecord; release: () => void } | undefined {
    const record = this.#byId.get(this.#byKey.get(key) ?? '');
    if (record === undefined) return undefined;
    if (!this.#isWhole(record)) {
      this.#forget(record);
      return undefined;
    }
    return { record, release: this.use(record.id) };
  }

  /** The record of that id, or else what a key led to, if all of it is still there; its use is not counted. */
  findFor(id: string | undefined, key: string): { record: ResultRecord; release: () => void } | undefined {
    const record = this.#byId.get(id ?? '') ?? this.#byId.get(this.#byKey.get(key) ?? '');
    return record === undefined || !this.#isWhole(record)
      ? undefined
      : { record, release: this.#hold(record.id) };
  }

  /** Another key that leads to the record. */
  addKey(id: string, key: string): void {
    const record = this.#byId.get(id);
    if (record === undefined || record.keys.includes(key)) return;
    this.#takeKey(key);
    const keys = [...record.keys, key];
    for (const old of keys.splice(0, Math.max(0, keys.length - maxKeys))) this.#byKey.delete(old);
    this.#save({ ...record, keys });
  }

  /** From the record that it led to: what was made last counts. */
  #takeKey(key: string): void {
    const before = this.#byId.get(this.#byKey.get(key) ?? '');
    if (before !== undefined) this.#save({ ...before, keys: before.keys.filter((other) => other !== key) });
    this.#byKey.delete(key);
  }

  /** The layers are held by the caller. */
  add(made: Pick<ResultRecord, 'keys' | 'outputs' | 'parents' | 'type' | 'description'>): {
    record: ResultRecord;
    release: () => void;
  } {
    const now = Date.now();
    const inherited = new Set(made.parents.flatMap((id) => this.#byId.get(id)?.outputs.flat() ?? []));
    const ownLayers = [...new Set(made.outputs.flat())].filter((diffId) => !inherited.has(diffId));
    const id = randomBytes(16).toString('hex');
    const times = { createdAtMs: now, lastUsedAtMs: now, usageCount: 0 };
    const record = { ...made, ...times, id, ownLayers, description: made.description.slice(0, 1024) };
    for (const key of made.keys) this.#takeKey(key);
    this.#host.layers.reference(ownerPrefix + id, [...new Set(made.outputs.flat())]);
    this.#save(record);
    return { record, release: this.#hold(id) };
  }

  /** It isn't pruned until the function it returns is called. */
  use(id: string): () => void {
    const record = this.#byId.get(id);
    if (record !== undefined)
      this.#save({ ...record, lastUsedAtMs: Date.now(), usageCount: record.usageCount + 1 });
    return this.#hold(id);
  }

  #hold(id: string): () => void {
    this.#uses.set(id, (this.#uses.get(id) ?? 0) + 1);
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      const left = (this.#uses.get(id) ?? 1) - 1;
      if (left === 0) this.#uses.delete(id);
      else this.#uses.set(id, left);
    };
  }

  list(): CacheRecord[] {
    const ofImages = this.#host.images.usedLayers();
    return [...this.#byId.values()].map((record) => ({
      id: record.id,
      parents: record.parents.filter((id) => this.#byId.has(id)),
      type: record.type,
      description: record.description,
      sizeBytes: record.ownLayers.reduce((sum, diffId) => sum + this.#layerBytes(diffId), 0),
      createdAtMs: record.createdAtMs,
      lastUsedAtMs: record.lastUsedAtMs,
      usageCount: record.usageCount,
      inUse: this.#uses.has(record.id),
      mutable: false,
      shared: record.ownLayers.length > 0 && record.ownLayers.every((diffId) => ofImages.has(diffId)),
    }));
  }

  /** False while it is in use. */
  async remove(id: string): Promise<boolean> {
    const record = this.#byId.get(id);
    if (record === undefined || this.#uses.has(id)) return false;
    this.#forget(record);
    await this.#host.images.removeUnusedLayers([...new Set(record.outputs.flat())]);
    return true;
  }

  #layerBytes(diffId: string): number {
    try {
      return this.#host.layers.sizeBytes(diffId);
    } catch {
      return 0;
    }
  }

  #isWhole({ outputs }: ResultRecord): boolean {
    try {
      this.#host.layers.diskPaths([...new Set(outputs.flat())]);
      return true;
    } catch (error) {
      log.debug('layers of a cache record are gone', { reason: errorMessage(error) });
      return false;
    }
  }

  #save(record: ResultRecord): void {
    this.#host.documents.put(recordCollection, record.id, record);
    this.#remember(record);
  }

  #remember(record: ResultRecord): void {
    this.#byId.set(record.id, record);
    for (const key of record.keys) this.#byKey.set(key, record.id);
  }

  /** The record first: after a crash the layers' owner is somebody whom nobody knows. */
  #forget(record: ResultRecord): void {
    this.#host.documents.delete(recordCollection, record.id);
    this.#byId.delete(record.id);
    for (const key of record.keys) if (this.#byKey.get(key) === record.id) this.#byKey.delete(key);
    this.#host.layers.unreference(ownerPrefix + record.id);
  }

  /** Layers that belong to records which are gone. At start-up. */
  releaseOrphans(): void {
    for (const owner of this.#host.layers.owners()) {
      if (owner.startsWith(ownerPrefix) && !this.#byId.has(owner.slice(ownerPrefix.length)))
        this.#host.layers.unreference(owner);
    }
  }
}
