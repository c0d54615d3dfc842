// What a build has told so far, and its subscribers: each gets all of it, however late it comes and however slowly it reads. States
// count as they are now, so what a slow reader costs is bounded by the build and not by time.

import { within } from '../../async/deadline';
import type { BuildWarning, Progress, VertexCounter, VertexState } from '../contract/progress';
import type {
  StatusResponseInit,
  VertexInit,
  VertexStatusInit,
  VertexWarningInit,
} from '../messages/control';
import { timestamp } from '../messages/google';

/** Between two messages to a subscriber. */
const intervalMs = 100;
/** Of output that waits: then it is sent at once. */
const eagerBytes = 16 * 1024;
/** As BuildKit's default. */
const maxStepLogBytes = 2 * 1024 * 1024;
const maxLogBytes = 64 * 1024 * 1024;
const maxVertexes = 100_000;
const maxCounters = 50_000;
const maxWarnings = 1_000;
/** Of output in one message. */
const maxMessageBytes = 1024 * 1024;
const maxItems = 5_000;

interface LogPart {
  readonly vertex: string;
  readonly stream: number;
  readonly timeMs: number;
  readonly bytes: Buffer;
}

class Subscriber {
  readonly vertexes = new Set<string>();
  readonly counters = new Set<string>();
  nextLog = 0;
  nextWarning = 0;
  /** Output that waits. */
  logBytes = 0;
  /** Somebody waits for news. */
  wake: () => void = () => undefined;
}

export class ProgressLog implements Progress {
  readonly #vertexes = new Map<string, VertexState>();
  readonly #counters = new Map<string, VertexCounter>();
  readonly #logs: LogPart[] = [];
  readonly #warnings: BuildWarning[] = [];
  readonly #stepBytes = new Map<string, number>();
  readonly #subscribers = new Set<Subscriber>();
  #logBytes = 0;
  #isEnded = false;

  vertex(state: VertexState): void {
    if (!this.#vertexes.has(state.digest) && this.#vertexes.size >= maxVertexes) return;
    this.#vertexes.set(state.digest, state);
    this.#tell(({ vertexes }) => vertexes.add(state.digest));
  }

  counter(counter: VertexCounter): void {
    const key = `${counter.vertex} ${counter.id}`;
    if (!this.#counters.has(key) && this.#counters.size >= maxCounters) return;
    this.#counters.set(key, counter);
    this.#tell(({ counters }) => counters.add(key));
  }

  log(vertex: string, stream: 'stdout' | 'stderr', bytes: Uint8Array): void {
    const before = this.#stepBytes.get(vertex) ?? 0;
    if (bytes.length === 0 || before > maxStepLogBytes) return;
    const room = Math.min(maxStepLogBytes - before, maxLogBytes - this.#logBytes);
    const kept = Buffer.from(bytes.subarray(0, Math.max(0, room)));
    this.#stepBytes.set(vertex, before + bytes.length);
    this.#append(vertex, stream === 'stdout' ? 1 : 2, kept);
    if (kept.length === bytes.length) return;
    this.#stepBytes.set(vertex, Infinity);
    this.#append(vertex, 2, Buffer.from('\n[output clipped, log limit 2MiB reached]\n'));
  }

  warning(warning: BuildWarning): void {
    if (this.#warnings.length >= maxWarnings) return;
    this.#warnings.push(warning);
    this.#tell(() => undefined);
  }

  /** Nothing more comes: subscribers end when they have all. */
  end(): void {
    this.#isEnded = true;
    this.#tell(() => undefined);
  }

  /** Steps that are done, and those of them that were in the cache. */
  counts(): { total: number; completed: number; cached: number; warnings: number } {
    const states = [...this.#vertexes.values()];
    return {
      total: states.length,
      completed: states.filter(({ completedMs }) => completedMs !== undefined).length,
      cached: states.filter(({ cached }) => cached === true).length,
      warnings: this.#warnings.length,
    };
  }

  /** Everything so far, and nothing that comes. */
  *soFar(): Generator<StatusResponseInit, void, undefined> {
    const subscriber = this.#subscriber();
    for (let message = this.#take(subscriber); message !== undefined; message = this.#take(subscriber))
      yield message;
  }

  /** Everything so far, then what comes, until the end. */
  async *subscribe(signal: AbortSignal): AsyncGenerator<StatusResponseInit, void, undefined> {
    const subscriber = this.#subscriber();
    this.#subscribers.add(subscriber);
    try {
      for (;;) {
        const isLast = this.#isEnded;
        for (let message = this.#take(subscriber); message !== undefined; message = this.#take(subscriber)) {
          yield message;
        }
        if (isLast) return;
        await this.#news(subscriber, signal);
      }
    } finally {
      this.#subscribers.delete(subscriber);
    }
  }

  /** One that has had nothing yet. */
  #subscriber(): Subscriber {
    const subscriber = new Subscriber();
    for (const digest of this.#vertexes.keys()) subscriber.vertexes.add(digest);
    for (const key of this.#counters.keys()) subscriber.counters.add(key);
    return subscriber;
  }

  /** Something, and then a while for more of it, unless much came. */
  async #news(subscriber: Subscriber, signal: AbortSignal): Promise<void> {
    const has = (): boolean =>
      subscriber.vertexes.size > 0 ||
      subscriber.counters.size > 0 ||
      subscriber.nextLog < this.#logs.length ||
      subscriber.nextWarning < this.#warnings.length;
    const isUrgent = (): boolean => this.#isEnded || subscriber.logBytes >= eagerBytes;
    while (!has() && !this.#isEnded) await within(this.#woken(subscriber), Infinity, { signal });
    const until = Date.now() + intervalMs;
    while (!isUrgent()) {
      const left = until - Date.now();
      if (left <= 0) return;
      await waitFor(this.#woken(subscriber), left, signal);
    }
  }

  #woken(subscriber: Subscriber): Promise<void> {
    return new Promise((resolve) => (subscriber.wake = resolve));
  }

  #append(vertex: string, stream: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#logs.push({ vertex, stream, timeMs: Date.now(), bytes });
    this.#logBytes += bytes.length;
    this.#tell((subscriber) => (subscriber.logBytes += bytes.length));
  }

  #tell(mark: (subscriber: Subscriber) => void): void {
    for (const subscriber of this.#subscribers) {
      mark(subscriber);
      subscriber.wake();
    }
  }

  /** What the subscriber hasn't had, as far as it fits into one message. */
  #take(subscriber: Subscriber): StatusResponseInit | undefined {
    const vertexes = firstOf(subscriber.vertexes, maxItems).flatMap(
      (digest) => this.#vertexes.get(digest) ?? [],
    );
    const counters = firstOf(subscriber.counters, maxItems).flatMap((key) => this.#counters.get(key) ?? []);
    const logs: LogPart[] = [];
    let bytes = 0;
    for (
      let part = this.#logs[subscriber.nextLog];
      part !== undefined && bytes < maxMessageBytes && logs.length < maxItems;
      part = this.#logs[subscriber.nextLog]
    ) {
      logs.push(part);
      bytes += part.bytes.length;
      subscriber.nextLog += 1;
    }
    if (subscriber.nextLog === this.#logs.length) subscriber.logBytes = 0;
    const warnings = this.#warnings.slice(subscriber.nextWarning, subscriber.nextWarning + 10);
    subscriber.nextWarning += warnings.length;
    if (vertexes.length + counters.length + logs.length + warnings.length === 0) return undefined;
    return {
      vertexes: vertexes.map(vertexMessage),
      statuses: counters.map(counterMessage),
      logs: joined(logs).map((part) => ({
        vertex: part.vertex,
        stream: part.stream,
        timestamp: timestamp(part.timeMs),
        msg: part.bytes,
      })),
      warnings: warnings.map(warningMessage),
    };
  }
}

/** Neighbours of one stream become one. */
function joined(parts: readonly LogPart[]): LogPart[] {
  const groups: LogPart[][] = [];
  for (const part of parts) {
    const group = groups.at(-1);
    const [first] = group ?? [];
    if (group !== undefined && first?.vertex === part.vertex && first.stream === part.stream)
      group.push(part);
    else groups.push([part]);
  }
  return groups.flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ ...first, bytes: Buffer.concat(group.map(({ bytes }) => bytes)) }];
  });
}

function firstOf(set: Set<string>, count: number): string[] {
  const taken: string[] = [];
  for (const item of set) {
    if (taken.length === count) break;
    taken.push(item);
    set.delete(item);
  }
  return taken;
}

async function waitFor(promise: Promise<void>, timeoutMs: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
  try {
    await within(Promise.race([promise, over]), Infinity, { signal });
  } finally {
    clearTimeout(timer);
  }
}

function vertexMessage(state: VertexState): VertexInit {
  return {
    digest: state.digest,
    inputs: state.inputs,
    name: state.name,
    cached: state.cached,
    started: time(state.startedMs),
    completed: time(state.completedMs),
    error: state.error,
    progressGroup: state.group,
  };
}

function counterMessage(counter: VertexCounter): VertexStatusInit {
  return {
    ID: counter.id,
    vertex: counter.vertex,
    name: counter.name,
    current: counter.current,
    total: counter.total,
    timestamp: timestamp(Date.now()),
    started: time(counter.startedMs),
    completed: time(counter.completedMs),
  };
}

function warningMessage(warning: BuildWarning): VertexWarningInit {
  return {
    vertex: warning.vertex,
    level: warning.level,
    short: Buffer.from(warning.short),
    detail: warning.detail.map((line) => Buffer.from(line)),
    url: warning.url,
    info: warning.info,
    ranges: warning.ranges,
  };
}

function time(ms: number | undefined): ReturnType<typeof timestamp> | undefined {
  return ms === undefined ? undefined : timestamp(ms);
}
