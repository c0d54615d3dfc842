// Events of all daemons, in the order in which the cluster took them: written as objects, told when the watch brings them.

import { randomBytes } from 'node:crypto';
import { settlesWithin } from '../../async/deadline';
import type { EventMessage } from '../../docker/types';
import { errorMessage, isDaemonError } from '../../errors';
import { nowNanoseconds } from '../../go/timestamp';
import { log } from '../../log';
import type { EventPublisher, EventType } from '../../semantics/events/event-publisher';
import { EventBus, eventMessage, type EventMemory } from '../../semantics/events/events';
import type { Stored, WatchedRecords } from '../contract/record-store';

/**
 * Times as text: they are larger than JSON's numbers are exact. `mark`: by which a daemon knows that another has told of something; of
 * several who tell of it, the first one's events count.
 */
export interface EventsRecord {
  events: (Omit<EventMessage, 'timeNano'> & { timeNano: string; mark?: string })[];
}

/** As many as dockerd keeps. */
const keptEvents = 256;
/** A watch that is just being connected anew is not waited for longer. */
const toldMs = 1_000;
/** What the cluster doesn't take for a moment is offered again for so long, with longer pauses each time. */
const offeredMs = 2_000;
const firstPauseMs = 100;

class RecentEvents implements EventMemory {
  #events: EventMessage[] = [];

  add(event: EventMessage): void {
    this.#events.push(event);
    if (this.#events.length > keptEvents) this.#events.shift();
  }

  between(sinceNs: bigint, untilNs: bigint | undefined): EventMessage[] {
    // Clocks of several daemons: one that is behind must not hide what came before it.
    return this.#events.filter(
      ({ timeNano }) => timeNano >= sinceNs && (untilNs === undefined || timeNano <= untilNs),
    );
  }

  /** Of what happened before, nothing can be known any more. */
  get knownSinceNs(): bigint {
    return this.#events.length < keptEvents ? 0n : (this.#events[0]?.timeNano ?? 0n);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}

export class ClusterEvents implements EventPublisher {
  readonly #records: WatchedRecords<EventsRecord>;
  readonly #recent = new RecentEvents();
  readonly bus = new EventBus(this.#recent);
  readonly #seen: Stored<EventsRecord>[] = [];
  /** Objects of ours that the watch has not brought back. */
  readonly #untold = new Map<string, () => void>();
  /** The last ones, each with the object that has told it first, and who waits for one. */
  readonly #marks = new Map<string, string>();
  readonly #markWaiters = new Map<string, Set<() => void>>();
  #queue: (EventMessage & { mark?: string })[] = [];
  #writing: Promise<void> | undefined;
  #lastNs = 0n;

  constructor(records: WatchedRecords<EventsRecord>) {
    this.#records = records;
  }

  /** Resolves when what is kept of the past is known. */
  async start(): Promise<void> {
    let past: Stored<EventsRecord>[] | undefined = [];
    await this.#records.watch({
      changed: (stored) => {
        if (past === undefined) this.#tell(stored);
        else past.push(stored);
      },
      removed: () => undefined,
    });
    const listed = past;
    past = undefined;
    listed.sort((a, b) => Number(BigInt(a.version) - BigInt(b.version)));
    for (const stored of listed) {
      try {
        this.#tell(stored);
      } catch (error) {
        log.warn('events that can not be read', { name: stored.name, error: errorMessage(error) });
      }
    }
  }

  /** `mark`: events with it, published in one turn, are told as one, or not at all where others have told them before. */
  publish(
    type: EventType,
    action: string,
    actorId: string,
    attributes: Record<string, string>,
    mark?: string,
  ): void {
    const now = nowNanoseconds();
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    const message = eventMessage(type, action, actorId, attributes, this.#lastNs);
    this.#queue.push(mark === undefined ? message : { ...message, mark });
    this.#writing ??= this.#write();
  }

  /** Resolves when what was published is in the cluster, and told here: what is done next is told after it, and who asks hears of it. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  /** Whether what happened then was told with this mark. Of what is older than all that is kept that is taken for granted. */
  wasTold(mark: string, happenedNs: bigint): boolean {
    return this.#marks.has(mark) || happenedNs < this.#recent.knownSinceNs;
  }

  /** Resolves when an event with this mark has been told, with true, or the time is over. */
  async whenTold(mark: string, timeoutMs: number): Promise<boolean> {
    if (this.#marks.has(mark)) return true;
    const waiters = this.#markWaiters.get(mark) ?? new Set();
    this.#markWaiters.set(mark, waiters);
    let wake: () => void = () => undefined;
    const told = new Promise<void>((resolve) => waiters.add((wake = resolve)));
    const isTold = await settlesWithin(told, timeoutMs);
    waiters.delete(wake);
    if (waiters.size === 0) this.#markWaiters.delete(mark);
    return isTold;
  }

  /** Removes what is too old to be asked for. For one daemon at a time. */
  async trim(): Promise<void> {
    let kept = 0;
    const old = [...this.#seen].reverse().filter(({ value }) => {
      kept += value.events.length;
      return kept - value.events.length >= keptEvents;
    });
    for (const { name, version } of old) {
      await this.#records.remove(name, version).catch(() => undefined); // somebody else was faster
      const at = this.#seen.findIndex((seen) => seen.name === name);
      if (at >= 0) this.#seen.splice(at, 1);
    }
  }

  #tell(stored: Stored<EventsRecord>): void {
    this.#seen.push(stored);
    this.#untold.get(stored.name)?.();
    for (const { timeNano, mark, ...event } of stored.value.events) {
      if (mark !== undefined && !this.#isFirst(mark, stored.name)) continue;
      this.bus.deliver({ ...event, timeNano: BigInt(timeNano) });
    }
    for (const { mark = '' } of stored.value.events)
      for (const wake of this.#markWaiters.get(mark) ?? []) wake();
  }

  /** Whether this object is the first that tells of it: all daemons see them in the same order. */
  #isFirst(mark: string, object: string): boolean {
    const first = this.#marks.get(mark);
    if (first !== undefined) return first === object;
    this.#marks.set(mark, object);
    const [oldest] = this.#marks.keys();
    if (this.#marks.size > keptEvents && oldest !== undefined) this.#marks.delete(oldest);
    return true;
  }

  async #write(): Promise<void> {
    // What else happens in this turn goes into the same write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const events = this.#queue;
      this.#queue = [];
      const name = `event-${nowNanoseconds()}-${randomBytes(4).toString('hex')}`;
      const value = { events: events.map((event) => ({ ...event, timeNano: event.timeNano.toString() })) };
      try {
        const told = new Promise<void>((resolve) => this.#untold.set(name, resolve));
        await this.#offer(name, value);
        await settlesWithin(told, toldMs);
      } catch (error) {
        log.warn('events could not be told to the cluster', {
          events: events.length,
          error: errorMessage(error),
        });
      } finally {
        this.#untold.delete(name);
      }
    }
    this.#writing = undefined;
  }

  async #offer(name: string, value: EventsRecord): Promise<void> {
    const end = performance.now() + offeredMs;
    for (let pauseMs = firstPauseMs; ; pauseMs *= 2) {
      try {
        await this.#records.create(name, value);
        return;
      } catch (error) {
        // Its name is nobody else's: it was taken before, and the answer lost.
        if (isDaemonError(error, 'Conflict')) return;
        if (!isDaemonError(error, 'Unavailable') || performance.now() > end) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
