// streams/: bytes between the guest's channels, the log and who is attached.
//
// The live streams of one container, or of one exec: what its process writes goes to whoever is attached, and what
// they type goes to the process. It outlives a run, so that a client can attach before the start.

import type { LogStream } from '../logs/log-record';

/** A client this far behind holds the process up, as a full pipe would. */
const maxPendingBytes = 1 << 20;

export interface StreamChunk {
  stream: LogStream;
  data: Buffer;
  /** Where the first byte lies; absent for what goes to no log. */
  at?: RunPosition;
}

/** A place in what a run writes: the run as its log knows it, and bytes of the stream from the run's start. */
export interface RunPosition {
  run: string;
  offset: number;
}

/** The process's standard input during one run. */
export interface ProcessInput {
  /** Resolves when there is room for more; rejects when the process reads no more. */
  write(data: Buffer): Promise<void>;
  end(): void;
}

/** One client's view of the output. Iterate it; it ends with the run, or when closed. */
export class StreamSubscription implements AsyncIterable<StreamChunk> {
  readonly #wanted: ReadonlySet<LogStream>;
  readonly #queue: StreamChunk[] = [];
  #pendingBytes = 0;
  #ended = false;
  #wakeReader: (() => void) | undefined;
  readonly #onProgress: (subscription: StreamSubscription) => void;
  #known: ({ run: string } & Record<LogStream, number>) | undefined;

  constructor(wanted: ReadonlySet<LogStream>, onProgress: (subscription: StreamSubscription) => void) {
    this.#wanted = wanted;
    this.#onProgress = onProgress;
  }

  get isFull(): boolean {
    return !this.#ended && this.#pendingBytes > maxPendingBytes;
  }

  get isClosed(): boolean {
    return this.#ended;
  }

  push(chunk: StreamChunk): void {
    if (this.#ended || !this.#wanted.has(chunk.stream)) return;
    const data = this.#unknown(chunk);
    if (data.length === 0) return;
    this.#queue.push({ ...chunk, data });
    this.#pendingBytes += data.length;
    this.#wakeReader?.();
  }

  /** Drops what was pushed, and what will be, that lies before these offsets: the client has it from the log. */
  skipTo(run: string, offsets: Record<LogStream, number>): void {
    this.#known = { ...offsets, run };
    for (const chunk of this.#queue.splice(0)) {
      const data = this.#unknown(chunk);
      this.#pendingBytes -= chunk.data.length - data.length;
      if (data.length > 0) this.#queue.push({ ...chunk, data });
    }
    this.#onProgress(this);
  }

  #unknown({ stream, data, at }: StreamChunk): Buffer {
    if (this.#known === undefined || at?.run !== this.#known.run) return data;
    return data.subarray(Math.max(0, this.#known[stream] - at.offset));
  }

  /** What was pushed can still be read; nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#wakeReader?.();
    this.#onProgress(this);
  }

  /** The client is gone: what it has not read is dropped. */
  close(): void {
    this.#queue.length = 0;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamChunk> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        yield chunk;
        // Only now, since the consumer has come back for more, did it take the chunk.
        this.#pendingBytes -= chunk.data.length;
        this.#onProgress(this);
        continue;
      }
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
      this.#wakeReader = undefined;
    }
  }
}

export class StreamHub {
  readonly #subscriptions = new Set<StreamSubscription>();
  #roomWaiters: (() => void)[] = [];
  #input: ProcessInput | undefined;
  #inputWaiters: ((input: ProcessInput | undefined) => void)[] = [];

  /** From now on: to the end of the current run, or of the next one if none is on. */
  subscribe(wanted: { stdout: boolean; stderr: boolean }): StreamSubscription {
    const streams = new Set<LogStream>();
    if (wanted.stdout) streams.add('stdout');
    if (wanted.stderr) streams.add('stderr');
    const subscription = new StreamSubscription(streams, (changed) => {
      if (changed.isClosed) this.#subscriptions.delete(changed);
      if (!this.isFull) this.#letIn();
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** Hands a piece of output to everyone. */
  publish(stream: LogStream, data: Buffer, at?: RunPosition): void {
    if (data.length === 0) return;
    const chunk: StreamChunk = { stream, data, ...(at === undefined ? {} : { at }) };
    for (const subscription of this.#subscriptions) subscription.push(chunk);
  }

  get isFull(): boolean {
    for (const subscription of this.#subscriptions) if (subscription.isFull) return true;
    return false;
  }

  /** Resolves when no client is too far behind. */
  async room(): Promise<void> {
    while (this.isFull) await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  /** A run begins; undefined: its process has no standard input. */
  beginRun(input: ProcessInput | undefined): void {
    this.#input = input;
    for (const waiter of this.#inputWaiters.splice(0)) waiter(input);
  }

  /** The run is over, or could not begin: everyone's stream ends. */
  endRun(): void {
    this.#input = undefined;
    for (const waiter of this.#inputWaiters.splice(0)) waiter(undefined);
    for (const subscription of [...this.#subscriptions]) subscription.end();
  }

  /** The input of the current run, or of the next one. Undefined if it has none, never begins, or `signal` says so. */
  input(signal: AbortSignal): Promise<ProcessInput | undefined> {
    if (this.#input !== undefined || signal.aborted) return Promise.resolve(this.#input);
    return new Promise((resolve) => {
      const settle = (input: ProcessInput | undefined): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(input);
      };
      const onAbort = (): void => {
        this.#inputWaiters = this.#inputWaiters.filter((waiter) => waiter !== settle);
        resolve(undefined);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#inputWaiters.push(settle);
    });
  }

  #letIn(): void {
    for (const waiter of this.#roomWaiters.splice(0)) waiter();
  }
}

/** Live streams by container. They outlive runs, so that clients can attach before a start. */
export class StreamHubs {
  readonly #hubs = new Map<string, StreamHub>();

  of(id: string): StreamHub {
    let hub = this.#hubs.get(id);
    if (hub === undefined) {
      hub = new StreamHub();
      this.#hubs.set(id, hub);
    }
    return hub;
  }

  /** The container is gone: who is attached sees the end. */
  delete(id: string): void {
    this.#hubs.get(id)?.endRun();
    this.#hubs.delete(id);
  }
}
