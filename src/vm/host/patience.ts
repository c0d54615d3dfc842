// How long an answer of a VM is waited for: by the CPU time that its process has had, and the time in which it wanted none. On a
// host that is busy, or while somebody has stopped the process, the clock on the wall says nothing.

import { DaemonError } from '../../errors';
import { schedulingOf, type HostProcess, type Scheduling } from './host-process';

export interface PatienceOptions {
  /** CPU time after which an answer would have come. */
  ranMs: number;
  /** Time in which the process neither ran nor waited for a CPU, as if there were nothing to be done. */
  idleMs: number;
  /** Whether time in which the process is stopped counts as idle. */
  countsStops: boolean;
  /** Looked at that often, in ms. */
  pollMs?: number;
}

const defaultPollMs = 500;

/** Watches one process that owes an answer. */
export class Patience {
  /** Aborted with an Unavailable that says why, when the answer is overdue or the process is gone. */
  readonly over: AbortSignal;
  readonly #over = new AbortController();
  readonly #target: HostProcess;
  readonly #options: PatienceOptions;
  readonly #pollMs: number;
  #timer: NodeJS.Timeout | undefined;
  #before: Scheduling | undefined;
  #ranMs = 0;
  #idleMs = 0;
  #stoppedMs = 0;

  constructor(target: HostProcess, options: PatienceOptions) {
    this.#target = target;
    this.#options = options;
    this.#pollMs = options.pollMs ?? defaultPollMs;
    this.over = this.#over.signal;
    this.#next();
  }

  /** For how long the process has been stopped by now, in ms; 0 when it is not. */
  get stoppedMs(): number {
    return this.#stoppedMs;
  }

  /** There is a reason why it had nothing to do. */
  pardon(): void {
    this.#idleMs = 0;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #next(): void {
    this.#timer = setTimeout(() => {
      void schedulingOf(this.#target).then((now) => {
        if (this.#timer === undefined) return;
        this.#look(now);
        if (!this.over.aborted) this.#next();
      });
    }, this.#pollMs).unref();
  }

  #look(now: Scheduling | undefined): void {
    if (now === undefined) {
      this.#giveUp('its process has ended');
      return;
    }
    const before = this.#before ?? now;
    this.#before = now;
    this.#stoppedMs = now.isStopped ? this.#stoppedMs + this.#pollMs : 0;
    if (now.isStopped && !this.#options.countsStops) return;
    // Of threads that have ended meanwhile nothing is known.
    const ranMs = Math.max(0, now.ranMs - before.ranMs);
    const waitedMs = Math.max(0, now.waitedMs - before.waitedMs);
    this.#ranMs += ranMs;
    // Not the time that has passed: this daemon may have had no CPU itself.
    this.#idleMs += Math.max(0, this.#pollMs - ranMs - waitedMs);
    if (this.#ranMs >= this.#options.ranMs) this.#giveUp(`it ran for ${Math.round(this.#ranMs)} ms without`);
    else if (this.#idleMs >= this.#options.idleMs) {
      this.#giveUp(`it had nothing to do for ${Math.round(this.#idleMs)} ms, and gave none`);
    }
  }

  #giveUp(why: string): void {
    this.end();
    this.#over.abort(new DaemonError('Unavailable', `no answer of the VM: ${why}`));
  }
}
