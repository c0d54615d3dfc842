// What a played Pod has been through, as far as it must outlive the daemon: how often its containers were restarted, the
// pauses that come of it, and whether it was up.

import { BackOff, type BackOffState } from './back-off';

export interface PodHistory {
  /** When it was first to run, in milliseconds since 1970. */
  beganMs?: number;
  /** It has come up, and was not seen to end. */
  up: boolean;
  /** Before the Pod itself is started again. */
  start?: BackOffState;
  /** By name; those that have run. */
  containers: Record<string, ContainerHistory>;
}

interface ContainerHistory {
  restartCount: number;
  backOff?: BackOffState;
}

/** Keeps it, and has it saved with each change. */
export class PodChronicle {
  #history: PodHistory;
  readonly #save: (history: PodHistory) => void;

  constructor(history: PodHistory | undefined, save: (history: PodHistory) => void) {
    this.#history = history ?? { up: false, containers: {} };
    this.#save = save;
  }

  /** When it was first to run, in milliseconds since 1970: now, if it was not before. */
  begin(): number {
    const beganMs = this.#history.beganMs ?? Date.now();
    if (this.#history.beganMs === undefined) this.#set({ beganMs });
    return beganMs;
  }

  get isUp(): boolean {
    return this.#history.up;
  }

  setUp(up: boolean): void {
    if (up !== this.#history.up) this.#set({ up });
  }

  restartCount(name: string): number {
    return this.#history.containers[name]?.restartCount ?? 0;
  }

  /** One that has run before was restarted. */
  started(name: string): void {
    const before = this.#history.containers[name];
    const nextMs = before?.backOff?.nextMs;
    this.#setContainer(name, {
      restartCount: before === undefined ? 0 : before.restartCount + 1,
      // Whatever it waited for is over.
      ...(nextMs === undefined ? {} : { backOff: { nextMs } }),
    });
  }

  /** Before the Pod itself is started again. */
  startBackOff(): BackOff {
    return new BackOff(this.#history.start, (start) => this.#set({ start }));
  }

  /** Before a container is. */
  backOff(name: string): BackOff {
    const { backOff } = this.#history.containers[name] ?? {};
    return new BackOff(backOff, (state) =>
      this.#setContainer(name, { restartCount: this.restartCount(name), backOff: state }),
    );
  }

  #setContainer(name: string, container: ContainerHistory): void {
    this.#set({ containers: { ...this.#history.containers, [name]: container } });
  }

  #set(change: Partial<PodHistory>): void {
    this.#history = { ...this.#history, ...change };
    this.#save(this.#history);
  }
}
