// The builds that were, for `buildx history`: kept over restarts, with what they told; the oldest go when they are many and old.

import { log } from '../../log';
import { BuildError } from '../contract/errors';
import type { DocumentStore } from '../contract/host';
import { historyEvent, StatusResponse, type StatusResponseInit } from '../messages/control';
import { Status, timestamp } from '../messages/google';
import type { BuildHistoryRecordInit } from '../messages/control';
import { Blobs, type Descriptor } from './blobs';

const collection = 'buildkit-history';
/** BuildKit's: a record goes when there are more than so many and it is older than so long. */
const keptCount = 50;
const keptMs = 48 * 3_600_000;
/** Whatever their age. */
const maxCount = 1000;
const maxBlobBytes = 512 * 1024 * 1024;
/** Of the names and values that clients give. */
const maxTextBytes = 1024 * 1024;
const maxErrorLength = 64 * 1024;
const statusType = 'application/vnd.buildkit.status.v0';
const errorType = 'application/vnd.googeapis.google.rpc.status+proto';
/** Events that wait for a listener; one that is slower is cut off. */
const maxWaiting = 10_000;

export interface BegunBuild {
  readonly ref: string;
  readonly frontend: string;
  readonly options: ReadonlyMap<string, string>;
  readonly exporters: readonly { type: string; attributes: ReadonlyMap<string, string> }[];
  /** Of its steps, as it is when they are asked for. */
  readonly counts: () => EndedBuild['counts'];
  readonly soFar: () => Iterable<StatusResponseInit>;
}

export interface EndedBuild {
  readonly answer: ReadonlyMap<string, string>;
  readonly error: Status | undefined;
  readonly counts: { total: number; completed: number; cached: number; warnings: number };
  /** All that it told. */
  readonly told: AsyncIterable<StatusResponseInit>;
}

interface StoredRecord {
  readonly ref: string;
  readonly frontend: string;
  readonly options: readonly (readonly [string, string])[];
  readonly exporters: readonly { type: string; attributes: readonly (readonly [string, string])[] }[];
  readonly createdAtMs: number;
  readonly completedAtMs?: number;
  readonly answer?: readonly (readonly [string, string])[];
  readonly error?: { code: number; message: string };
  readonly errorBlob?: Descriptor;
  readonly logs?: Descriptor;
  readonly counts?: EndedBuild['counts'];
  readonly pinned: boolean;
  readonly generation: number;
}

export interface HistoryRequest {
  readonly activeOnly: boolean;
  /** '': all. */
  readonly ref: string;
  /** What there is, and no more. */
  readonly onlyPresent: boolean;
  readonly matches: (field: (name: string) => string | undefined) => boolean;
  /** 0: none. */
  readonly limit: number;
}

/** A build as people look at it. */
export interface PastBuild {
  readonly ref: string;
  readonly options: readonly (readonly [string, string])[];
  readonly exporters: readonly { type: string; attributes: readonly (readonly [string, string])[] }[];
  readonly createdAtMs: number;
  readonly completedAtMs?: number;
  readonly error?: { message: string };
  readonly counts?: EndedBuild['counts'];
}

export interface HistoryEvent {
  readonly type: number;
  readonly record: BuildHistoryRecordInit;
}

type Listener = (event: { type: number; record: StoredRecord }) => void;

export class BuildHistory {
  readonly blobs: Blobs;
  readonly #documents: DocumentStore;
  readonly #records: Map<string, StoredRecord>;
  readonly #active = new Map<string, StoredRecord>();
  /** What those that run tell. */
  readonly #telling = new Map<string, Pick<BegunBuild, 'counts' | 'soFar'>>();
  readonly #listeners = new Set<Listener>();
  #tidying: Promise<void>;

  /** `directory` is its own. */
  constructor(documents: DocumentStore, directory: string) {
    this.#documents = documents;
    this.blobs = new Blobs(directory);
    const stored = documents.all<StoredRecord>(collection).sort((a, b) => a.createdAtMs - b.createdAtMs);
    this.#records = new Map(stored.map((record) => [record.ref, record]));
    this.#tidying = this.blobs.keepOnly(new Set(stored.flatMap(digestsOf))).catch(report);
  }

  /** Runs from now on. */
  begin({ ref, frontend, options, exporters, counts, soFar }: BegunBuild): void {
    const record = {
      ref,
      frontend,
      options: bounded(options),
      exporters: exporters.map(({ type, attributes }) => ({ type, attributes: bounded(attributes) })),
      createdAtMs: Date.now(),
      pinned: false,
      generation: 1,
    };
    this.#active.set(ref, record);
    this.#telling.set(ref, { counts, soFar });
    this.#tell(historyEvent.started, record);
  }

  /** Has ended, and is kept when it resolves. Never rejects: a build that can't be kept was none the less. */
  async complete(ref: string, ended: EndedBuild): Promise<void> {
    const begun = this.#active.get(ref);
    if (begun === undefined) return;
    try {
      await this.#tidying;
      const { error } = ended;
      const logs = await this.blobs.put(statusType, framed(ended.told));
      const errorBlob = error && (await this.blobs.put(errorType, [Status.encode(error)]));
      const record = {
        ...begun,
        completedAtMs: Date.now(),
        answer: bounded(ended.answer),
        counts: ended.counts,
        logs,
        ...(error === undefined
          ? {}
          : { error: { code: error.code, message: error.message.slice(0, maxErrorLength) } }),
        ...(errorBlob === undefined ? {} : { errorBlob }),
        generation: 2,
      };
      await this.#forget(ref);
      this.#save(record);
      this.#end(ref);
      this.#tell(historyEvent.complete, record);
      await this.#tidy();
    } catch (error) {
      report(error);
    } finally {
      this.#end(ref);
    }
  }

  #end(ref: string): void {
    this.#active.delete(ref);
    this.#telling.delete(ref);
  }

  /** Running builds, then those that were, the newest last; then what happens. Ends by the signal, or where it was asked to. */
  async *listen(request: HistoryRequest, signal: AbortSignal): AsyncGenerator<HistoryEvent, void, undefined> {
    const waiting: { type: number; record: StoredRecord }[] = [];
    let wake: () => void = () => undefined;
    const listener: Listener = (event) => {
      waiting.push(event);
      wake();
    };
    const fits = (record: StoredRecord): boolean =>
      (request.ref === '' || request.ref === record.ref) && request.matches((name) => fieldOf(record, name));
    if (!request.onlyPresent) this.#listeners.add(listener);
    try {
      const past = request.activeOnly ? [] : [...this.#records.values()];
      past.sort((a, b) => a.createdAtMs - b.createdAtMs);
      const all = [...past, ...this.#active.values()].filter(fits);
      const shown = request.limit > 0 ? all.slice(-request.limit) : all;
      for (const record of shown) yield eventOf(typeOf(record), record);
      if (request.onlyPresent) return;
      const aborted = (): void => wake();
      signal.addEventListener('abort', aborted);
      for (;;) {
        if (signal.aborted) return;
        if (waiting.length > maxWaiting)
          throw new BuildError('ResourceExhausted', 'the history is not read fast enough');
        const next = waiting.shift();
        if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else if (fits(next.record)) yield eventOf(next.type, next.record);
      }
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Throws BuildError NotFound. */
  async update(ref: string, change: { pinned: boolean; isDelete: boolean }): Promise<void> {
    const record = this.#records.get(ref);
    // one that runs is listed too: whoever removes all of them goes on
    if (record === undefined && change.isDelete) return;
    if (record === undefined)
      throw new BuildError('NotFound', `failed to find build record ${ref.slice(0, 200)}: not found`);
    if (change.isDelete) {
      await this.#forget(ref);
      this.#tell(historyEvent.deleted, record);
      return;
    }
    const changed = { ...record, pinned: change.pinned, generation: record.generation + 1 };
    this.#save(changed);
    this.#tell(historyEvent.complete, changed);
  }

  /** Those that run, then those that were, each the newest first. */
  list(): PastBuild[] {
    const newestFirst = (records: Iterable<StoredRecord>): StoredRecord[] =>
      [...records].sort((a, b) => b.createdAtMs - a.createdAtMs);
    const running = newestFirst(this.#active.values()).map((record) => {
      const telling = this.#telling.get(record.ref);
      return telling === undefined ? record : { ...record, counts: telling.counts() };
    });
    return [...running, ...newestFirst(this.#records.values())];
  }

  /** What a build told, from its record, or so far if it runs; undefined where there is none. */
  async told(
    ref: string,
  ): Promise<Iterable<StatusResponseInit> | AsyncIterable<StatusResponseInit> | undefined> {
    const telling = this.#telling.get(ref);
    if (telling !== undefined) return telling.soFar();
    const logs = this.#records.get(ref)?.logs;
    if (logs === undefined || (await this.blobs.info(logs.digest)) === undefined) return undefined;
    return unframed(this.blobs.read(logs.digest, 0, logs.size));
  }

  #save(record: StoredRecord): void {
    this.#documents.put(collection, record.ref, record);
    this.#records.delete(record.ref);
    this.#records.set(record.ref, record);
  }

  /** The record first: files that nobody names go at the next start. */
  async #forget(ref: string): Promise<void> {
    const record = this.#records.get(ref);
    if (record === undefined) return;
    this.#records.delete(ref);
    this.#documents.delete(collection, ref);
    const used = new Set([...this.#records.values()].flatMap(digestsOf));
    for (const digest of digestsOf(record)) if (!used.has(digest)) await this.blobs.remove(digest);
  }

  async #tidy(): Promise<void> {
    const records = [...this.#records.values()].sort(
      (a, b) => (a.completedAtMs ?? 0) - (b.completedAtMs ?? 0),
    );
    let count = records.length;
    let bytes = records.reduce(
      (sum, { logs, errorBlob }) => sum + (logs?.size ?? 0) + (errorBlob?.size ?? 0),
      0,
    );
    for (const record of records) {
      const isOld = count > keptCount && Date.now() - (record.completedAtMs ?? 0) > keptMs;
      if (!isOld && count <= maxCount && bytes <= maxBlobBytes) return;
      if (record.pinned) continue;
      await this.#forget(record.ref);
      this.#tell(historyEvent.deleted, record);
      count -= 1;
      bytes -= (record.logs?.size ?? 0) + (record.errorBlob?.size ?? 0);
    }
  }

  #tell(type: number, record: StoredRecord): void {
    for (const listener of this.#listeners) listener({ type, record });
  }
}

function typeOf({ completedAtMs }: StoredRecord): number {
  return completedAtMs === undefined ? historyEvent.started : historyEvent.complete;
}

function eventOf(type: number, record: StoredRecord): HistoryEvent {
  const { counts } = record;
  return {
    type,
    record: {
      Ref: record.ref,
      Frontend: record.frontend,
      FrontendAttrs: record.options,
      Exporters: record.exporters.map(({ type: Type, attributes: Attrs }) => ({ Type, Attrs })),
      error: record.error,
      CreatedAt: timestamp(record.createdAtMs),
      CompletedAt: record.completedAtMs === undefined ? undefined : timestamp(record.completedAtMs),
      logs: record.logs,
      ExporterResponse: record.answer,
      Generation: record.generation,
      pinned: record.pinned,
      numCachedSteps: counts?.cached,
      numTotalSteps: counts?.total,
      numCompletedSteps: counts?.completed,
      externalError: record.errorBlob,
      numWarnings: counts?.warnings,
    },
  };
}

/** Of filters. */
function fieldOf(record: StoredRecord, name: string): string | undefined {
  switch (name) {
    case 'ref':
      return record.ref;
    case 'status':
      if (record.completedAtMs === undefined) return 'running';
      if (record.error === undefined) return 'completed';
      return record.error.code === 1 ? 'canceled' : 'error';
    case 'repository':
      return record.options.find(([key]) => key === 'vcs:source')?.[1] ?? '';
    default:
      return undefined;
  }
}

function digestsOf({ logs, errorBlob }: StoredRecord): string[] {
  return [logs, errorBlob].flatMap((descriptor) => descriptor?.digest ?? []);
}

/** As many as fit. */
function bounded(map: ReadonlyMap<string, string>): (readonly [string, string])[] {
  let left = maxTextBytes;
  return [...map].filter(([key, value]) => {
    left -= key.length + value.length;
    return left >= 0;
  });
}

/** Each message after its length in four bytes, the lowest first: what BuildKit's clients read. */
async function* framed(told: AsyncIterable<StatusResponseInit>): AsyncGenerator<Buffer, void, undefined> {
  for await (const message of told) {
    const bytes = StatusResponse.encode(message);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    yield Buffer.concat([length, bytes]);
  }
}

async function* unframed(bytes: AsyncIterable<Buffer>): AsyncGenerator<StatusResponseInit, void, undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of bytes) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE()) {
      const end = 4 + rest.readUInt32LE();
      yield StatusResponse.decode(rest.subarray(4, end));
      rest = rest.subarray(end);
    }
  }
}

function report(error: unknown): void {
  log.error('the history of builds could not be written', { error });
}
