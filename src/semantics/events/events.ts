// events/: what the daemon tells of itself, to who listens now and to who asks later.
//
// The daemon's events: published by the verbs, kept for a while, and told to whoever listens.

import { longestTimerMs } from '../../async/deadline';
import type { Filters } from '../../api/v1.41/backend';
import type { EventMessage } from '../../docker/types';
import { DaemonError } from '../../errors';
import { matchEvent } from '../filters/event-filter';
import type { EventPublisher, EventType } from './event-publisher';
import { nowNanoseconds } from '../../go/timestamp';

/** A listener that reads more slowly than this many events loses the oldest. */
const queueLength = 4096;

export interface EventQuery {
  /** Absent both: only what happens from now on. */
  sinceNs?: bigint;
  untilNs?: bigint;
  filters: Filters;
}

/** The last events, which `since` asks for. */
export interface EventMemory {
  add(event: EventMessage): void;
  /** Oldest first. Stops at the first one, from the newest back, that is older than `sinceNs`, as dockerd does. */
  between(sinceNs: bigint, untilNs: bigint | undefined): EventMessage[];
  /** Resolves when what was added is kept. */
  flush(): Promise<void>;
}

export class EventBus implements EventPublisher {
  readonly #history: EventMemory;
  readonly #listeners = new Set<(event: EventMessage) => void>();
  #lastNs = 0n;
  #published = 0;

  constructor(history: EventMemory) {
    this.#history = history;
  }

  /** For info's NEventsListener. */
  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** Events since the daemon's start, for its metrics. */
  get publishedCount(): number {
    return this.#published;
  }

  publish(type: EventType, action: string, actorId: string, attributes: Record<string, string>): void {
    // Each later than the one before, so that a client may go on from the time of the last one it saw.
    const now = nowNanoseconds();
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    this.deliver(eventMessage(type, action, actorId, attributes, this.#lastNs));
  }

  /** Keeps and tells an event that has its time already. */
  deliver(event: EventMessage): void {
    this.#published += 1;
    this.#history.add(event);
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** Calls `listener`, which must not throw, with each event from now on. Returns the function that ends it. */
  listen(listener: (event: EventMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Past events since `sinceNs`, then live ones until `untilNs` or `signal`. Listening begins with the call, not with
   * the first read. Throws InvalidParameter when the times are in the wrong order.
   */
  subscribe(query: EventQuery, signal: AbortSignal): AsyncIterable<EventMessage> {
    const { sinceNs, untilNs, filters } = query;
    if (untilNs !== undefined && untilNs < (sinceNs ?? 0n)) {
      const since = unixTime(sinceNs ?? 0n);
      throw new DaemonError(
        'InvalidParameter',
        `\`since\` time (${since}) cannot be after \`until\` time (${unixTime(untilNs)})`,
      );
    }
    const hasPast = sinceNs !== undefined || untilNs !== undefined;
    // As in dockerd a time before 1970 ends the events now, and is no limit for those of the past.
    const lastNs = untilNs !== undefined && untilNs > 0n ? untilNs : undefined;
    const past = hasPast ? this.#history.between(sinceNs ?? 0n, lastNs) : [];
    const queue = past.filter((event) => matchEvent(filters, event));
    const leftMs = untilNs === undefined ? Infinity : Number(untilNs - nowNanoseconds()) / 1e6;
    return new Subscription(queue, leftMs, signal, (notify) =>
      this.listen((event) => {
        if (matchEvent(filters, event)) notify(event);
      }),
    );
  }

  /** Resolves when what was published is on disk. */
  async close(): Promise<void> {
    await this.#history.flush();
  }
}

/** Ends by itself after `leftMs`, on the signal, or when its reader stops. */
class Subscription implements AsyncIterableIterator<EventMessage> {
  readonly #queue: EventMessage[];
  readonly #signal: AbortSignal;
  readonly #unlisten: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(
    queue: EventMessage[],
    leftMs: number,
    signal: AbortSignal,
    listen: (notify: (event: EventMessage) => void) => () => void,
  ) {
    this.#queue = queue;
    this.#signal = signal;
    this.#unlisten = listen(this.#add);
    signal.addEventListener('abort', this.#end);
    if (leftMs <= longestTimerMs) this.#timer = setTimeout(this.#end, Math.max(0, leftMs));
    if (leftMs <= 0 || signal.aborted) this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<EventMessage>> {
    for (;;) {
      const event = this.#signal.aborted ? undefined : this.#queue.shift();
      if (event !== undefined) return { done: false, value: event };
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  return(): Promise<IteratorResult<EventMessage>> {
    this.#end();
    this.#queue.length = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  readonly #add = (event: EventMessage): void => {
    this.#queue.push(event);
    if (this.#queue.length > queueLength) this.#queue.shift();
    this.#wakeReader();
  };

  readonly #end = (): void => {
    this.#ended = true;
    this.#unlisten();
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#end);
    this.#wakeReader();
  };

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** An event as clients see it. */
export function eventMessage(
  type: EventType,
  action: string,
  actorId: string,
  attributes: Record<string, string>,
  timeNs: bigint,
): EventMessage {
  return {
    ...legacyMembers(type, action, actorId, attributes),
    Type: type,
    Action: action,
    Actor: { ID: actorId, Attributes: sortedByKey(attributes) },
    scope: 'local',
    time: Number(timeNs / 1_000_000_000n),
    timeNano: timeNs,
  };
}

/** Members of the form before API 1.22, which dockerd still sends for containers and images. */
function legacyMembers(
  type: EventType,
  action: string,
  actorId: string,
  attributes: Record<string, string>,
): Pick<EventMessage, 'status' | 'id' | 'from'> {
  if (type === 'image') return { status: action, id: actorId };
  if (type !== 'container') return {};
  const from = attributes['image'] ?? '';
  return { status: action, id: actorId, ...(from === '' ? {} : { from }) };
}

/** As Go writes a map. */
function sortedByKey(attributes: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Seconds since the epoch, with the fraction if there is one. */
function unixTime(nanoseconds: bigint): string {
  const fraction = nanoseconds % 1_000_000_000n;
  const seconds = (nanoseconds / 1_000_000_000n).toString();
  return fraction === 0n ? seconds : `${seconds}.${fraction.toString().padStart(9, '0')}`;
}
