// Cache mounts: a sparse disk for each id, plugged into one VM at a time. Steps that share one are in that VM.

import { createHash, randomBytes } from 'node:crypto';
import type { BuildHost } from '../../contract/host';
import type { CacheRecord } from '../../contract/cache-records';
import { unlessAborted } from '../../../async/deadline';
import { BuildError } from '../../contract/errors';
import { log } from '../../../log';

const collection = 'buildkit-cache-mounts';

interface MountRecord {
  id: string;
  key: string;
  /** As graphs name it. */
  cacheId?: string;
  description: string;
  createdAtMs: number;
  lastUsedAtMs: number;
  usageCount: number;
  /** A step has run with it: it has been filled. */
  isFilled: boolean;
}

export interface CacheMountRequest {
  /** As the graph has it: a namespace is part of it. */
  readonly id: string;
  readonly platform: string;
  /** What an empty one is filled with: disks with different beginnings are different ones. */
  readonly base: readonly string[];
  /** Rather another disk than to wait. */
  readonly isPrivate: boolean;
  /** A build whose steps may have it at the same time; undefined: nobody else has it. */
  readonly sharedBy: string | undefined;
}

/** Of a disk that is leased. */
interface Use {
  readonly sharedBy: string | undefined;
  /** How many have it. */
  steps: number;
  /** Where it is, once it has been filled. Rejects if who came first doesn't come so far. */
  readonly ready: Promise<string>;
  readonly isOver: Promise<void>;
  readonly end: () => void;
}

export interface CacheMountLease {
  readonly diskPath: string;
  /** No step has run with it yet: it is to be filled. */
  readonly isNew: boolean;
  /** A step runs. */
  filled(): void;
  release(): void;
}

export class CacheMounts {
  readonly #host: BuildHost;
  readonly #paths = new Map<string, string>();
  /** Ids of records that are to go when their step is done. */
  readonly #dropped = new Set<string>();
  /** By ids of records. */
  readonly #leased = new Map<string, Use>();
  /** Disks of no record are gone. Never rejects. */
  readonly #isTidy: Promise<void>;

  constructor(host: BuildHost) {
    this.#host = host;
    this.#isTidy = host.disks
      .keepOnly(new Set(this.#records().map(({ id }) => id)))
      .catch((error: unknown) => log.error('disks of cache mounts could not be removed', { error }));
  }

  async lease(request: CacheMountRequest, signal: AbortSignal): Promise<CacheMountLease> {
    await this.#isTidy;
    const parts = [request.id, request.platform, ...request.base];
    const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
    for (;;) {
      signal.throwIfAborted();
      const known = this.#records().filter((record) => record.key === key && !this.#dropped.has(record.id));
      const free = known.find(({ id }) => !this.#leased.has(id));
      if (free !== undefined) return this.#take(free, request);
      const [busy] = known;
      if (busy === undefined || request.isPrivate) return this.#take(this.#newRecord(key, request), request);
      const use = this.#leased.get(busy.id);
      if (use === undefined) continue;
      if (use.sharedBy === undefined || use.sharedBy !== request.sharedBy) {
        await unlessAborted(use.isOver, signal);
        continue;
      }
      use.steps += 1;
      const release = (): void => this.#release(busy.id, use);
      try {
        const diskPath = await unlessAborted(use.ready, signal);
        return { diskPath, isNew: false, filled: () => undefined, release };
      } catch {
        release();
        await unlessAborted(use.isOver, signal);
      }
    }
  }

  /** Steps that run with one go on with it; whoever asks for one of these ids from now on gets an empty one. */
  async empty(cacheIds: ReadonlySet<string>): Promise<void> {
    await this.#isTidy;
    for (const { id, cacheId } of this.#records()) {
      if (cacheId === undefined || !cacheIds.has(cacheId)) continue;
      if (!(await this.remove(id))) this.#dropped.add(id);
    }
  }

  async list(): Promise<CacheRecord[]> {
    return Promise.all(
      this.#records().map(async ({ id, description, createdAtMs, lastUsedAtMs, usageCount }) => ({
        id,
        parents: [],
        type: 'exec.cachemount' as const,
        description,
        sizeBytes: await this.#host.disks.usageBytes(id).catch(() => 0),
        createdAtMs,
        lastUsedAtMs,
        usageCount,
        inUse: this.#leased.has(id),
        mutable: true,
        shared: false,
      })),
    );
  }

  /** False while it is in use. */
  async remove(id: string): Promise<boolean> {
    if (this.#leased.has(id)) return false;
    // the record first: a crash leaves a disk that nobody knows, never a record without its disk
    this.#host.documents.delete(collection, id);
    this.#paths.delete(id);
    await this.#host.disks.remove(id);
    return true;
  }

  #records(): MountRecord[] {
    return this.#host.documents.all<MountRecord>(collection);
  }

  #newRecord(key: string, { id, platform }: CacheMountRequest): MountRecord {
    const now = Date.now();
    const description = `cached mount ${id.slice(0, 256)} (${platform})`;
    const recordId = randomBytes(16).toString('hex');
    return {
      id: recordId,
      key,
      cacheId: id,
      description,
      createdAtMs: now,
      lastUsedAtMs: now,
      usageCount: 0,
      isFilled: false,
    };
  }

  async #take(record: MountRecord, { sharedBy }: CacheMountRequest): Promise<CacheMountLease> {
    let end = (): void => undefined;
    const isOver = new Promise<void>((resolve) => (end = resolve));
    let isReady: (diskPath: string) => void = () => undefined;
    let isNotReady: (reason: unknown) => void = () => undefined;
    const ready = new Promise<string>((resolve, reject) => {
      isReady = resolve;
      isNotReady = reject;
    });
    ready.catch(() => undefined);
    const use: Use = { sharedBy, steps: 1, ready, isOver, end };
    this.#leased.set(record.id, use);
    const release = (reason: unknown): void => {
      isNotReady(reason);
      this.#release(record.id, use);
    };
    try {
      const used = { ...record, lastUsedAtMs: Date.now(), usageCount: record.usageCount + 1 };
      this.#host.documents.put(collection, record.id, used);
      const diskPath = this.#paths.get(record.id) ?? (await this.#host.disks.create(record.id));
      this.#paths.set(record.id, diskPath);
      if (record.isFilled) isReady(diskPath);
      const filled = (): void => {
        this.#host.documents.put(collection, record.id, { ...used, isFilled: true });
        isReady(diskPath);
      };
      const givenUp = new BuildError('Cancelled', 'the step was given up');
      return { diskPath, isNew: !record.isFilled, filled, release: () => release(givenUp) };
    } catch (error) {
      if (record.usageCount === 0) this.#host.documents.delete(collection, record.id);
      release(error);
      throw error;
    }
  }

  #release(id: string, use: Use): void {
    use.steps -= 1;
    if (use.steps > 0) return;
    this.#leased.delete(id);
    use.end();
    if (!this.#dropped.delete(id)) return;
    this.remove(id).catch((error: unknown) => log.error('a cache mount could not be removed', { id, error }));
  }
}
