// Who listens to the engine's events all the time, and what must have been told of each container at the end.

import type { EngineClient } from './engine-client';
import type { Ledger } from './ledger';
import { pause } from './world';

interface Message {
  Type: string;
  Action: string;
  Actor: { ID: string };
  timeNano: number;
}

interface Told {
  actions: Record<string, number>;
  first: number;
  last: number;
}

export class EventWatch {
  readonly #client: EngineClient;
  readonly #ended = new AbortController();
  readonly #told = new Map<string, Told>();
  readonly #seen = new Set<string>();
  #newest = '0';
  #watching: Promise<void> | undefined;

  constructor(client: EngineClient) {
    this.#client = client;
  }

  start(): void {
    this.#newest = `${Date.now() / 1000}`;
    this.#watching = this.#watch();
  }

  /** What is told by then counts. */
  async end(): Promise<void> {
    await pause(1000);
    this.#ended.abort();
    await this.#watching;
  }

  /** Of containers that are all removed by now. */
  check(ledger: Ledger): void {
    for (const [id, { actions, first, last }] of this.#told) {
      const { create = 0, start = 0, die = 0, destroy = 0 } = actions;
      if (create === 1 && destroy === 1 && start === die) continue;
      const text = `events of container ${id.slice(0, 12)}: ${create} create, ${start} start, ${die} die, ${destroy} destroy`;
      // what a daemon was killed over, between the deed and the word, is told by nobody; but nothing is told twice
      const since = performance.now() - (Date.now() - first);
      const until = performance.now() - (Date.now() - last);
      const wasAway = ledger.kills.some(
        ({ what, at, over = Infinity }) => what === 'daemon' && over + 5000 >= since && at - 5000 <= until,
      );
      if (!wasAway || create > 1 || destroy > 1 || die > start) ledger.fault('events', text);
    }
  }

  async #watch(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const thisTime = new Set<string>();
      await this.#client
        .lines(
          `/events?since=${this.#newest}`,
          (line) => this.#take(JSON.parse(line) as Message, thisTime),
          signal,
        )
        .catch(() => undefined); // the daemon was killed
      await pause(100);
    }
  }

  #take(message: Message, thisTime: Set<string>): void {
    const { Type, Action, Actor, timeNano } = message;
    this.#newest = `${Math.floor(timeNano / 1e9)}.${String(timeNano % 1e9).padStart(9, '0')}`;
    if (Type !== 'container') return;
    const key = `${timeNano} ${Action} ${Actor.ID}`;
    if (thisTime.has(key)) this.#client.ledger.fault('events', `told twice: ${key}`);
    thisTime.add(key);
    // told again because the connection is another one
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const timeMs = timeNano / 1e6;
    const told = this.#told.get(Actor.ID) ?? { actions: {}, first: timeMs, last: timeMs };
    told.actions[Action] = (told.actions[Action] ?? 0) + 1;
    told.last = timeMs;
    this.#told.set(Actor.ID, told);
  }
}
