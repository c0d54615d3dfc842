// What was done to the engine, by whom and when: what may go wrong because of it, and what a failure is told with.

/** What was killed, and from when to when that may show. */
export interface Kill {
  what: 'daemon' | 'vm' | 'file server' | 'network helper';
  /** performance.now(). */
  at: number;
  /** Undefined: it is not over yet. */
  over: number | undefined;
  /** The Pod that had the VM; undefined: one that was being made, or nobody's. */
  podId: string | undefined;
}

/** The daemon was killed while it was asked, or the connection was to the one before. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** What was asked for went with a VM or a helper that was killed. */
export class Disturbed extends Error {
  override readonly name = 'Disturbed';
}

const stepsTold = 60;
/** How long after a kill a request may meet the hole: one that began after it goes wrong all the same. */
const lateMs = 2000;

export class Ledger {
  readonly faults: string[] = [];
  readonly #kills: Kill[] = [];
  readonly #steps: string[] = [];
  readonly #start = performance.now();
  #stepCount = 0;

  get kills(): readonly Kill[] {
    return this.#kills;
  }

  get stepCount(): number {
    return this.#stepCount;
  }

  /** The last ones are told with a failure. */
  step(who: string, what: string): void {
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(1);
    this.#steps.push(`${seconds} s ${who}: ${what}`);
    this.#stepCount += 1;
    if (this.#steps.length > stepsTold) this.#steps.shift();
    if (process.env['CAISSON_STRESS_SHOW'] !== undefined)
      process.stderr.write(`${String(this.#steps.at(-1))}\n`);
  }

  /** Something that must not be. The run goes on, and fails at its end. */
  fault(who: string, what: string): void {
    this.faults.push(`${who}: ${what}\n  ${this.#steps.slice(-12).join('\n  ')}`);
    this.step(who, `FAULT ${what}`);
  }

  kill(kill: Omit<Kill, 'at' | 'over'>): Kill {
    const noted: Kill = { ...kill, at: performance.now(), over: undefined };
    this.#kills.push(noted);
    this.step('killer', `kills the ${kill.what} ${kill.podId ?? ''}`);
    return noted;
  }

  /** Whether the daemon was away at some moment since then. */
  wasAway(since: number): boolean {
    return this.#kills.some((kill) => kill.what === 'daemon' && isDuring(kill, since));
  }

  /**
   * What since then, or ever to one of these Pods, was killed that may be the reason of a failure. `any`: what is asked for has
   * VMs that the client does not know.
   */
  disturbance(since: number, podIds: readonly string[] | 'any'): Kill | undefined {
    return this.#kills.find((kill) => {
      if (kill.what === 'daemon') return false;
      if (kill.podId === undefined || podIds === 'any') return isDuring(kill, since);
      return podIds.some((id) => kill.podId?.includes(id));
    });
  }

  /** Whether the Pod's VM, or its file server, was killed at some time. */
  wasKilled(podId: string, what?: Kill['what']): boolean {
    return this.#kills.some(
      (kill) => kill.podId?.includes(podId) === true && (what === undefined || kill.what === what),
    );
  }

  lastSteps(): string {
    return this.#steps.join('\n');
  }
}

function isDuring({ over }: Kill, since: number): boolean {
  return over === undefined || over + lateMs >= since;
}
