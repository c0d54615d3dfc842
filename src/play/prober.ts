// The probes of one run of a container: startup first, then liveness and readiness at once.

import { log } from '../log';
import type { ContainerPlan, ProbePlan } from '../kubernetes/plan';
import { pause } from '../async/pause';
import { runAction, type ActionTarget } from './actions';
import { isAborted } from './back-off';
import type { PlayHost } from './host';

export type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface ProbeEvents {
  /** The container shall end, within this time if the probe has one of its own. */
  failed(probe: 'startup' | 'liveness', graceSeconds: number | undefined, reason: string): void;
  ready(ready: boolean): void;
  /** `failure`: empty for a success. `count`: how many in a row. */
  probed(probe: ProbeKind, failure: string, count: number): void;
}

export class Prober {
  readonly #host: PlayHost;
  readonly #plan: ContainerPlan;
  readonly #target: () => ActionTarget;
  readonly #events: ProbeEvents;

  constructor(host: PlayHost, plan: ContainerPlan, target: () => ActionTarget, events: ProbeEvents) {
    this.#host = host;
    this.#plan = plan;
    this.#target = target;
    this.#events = events;
  }

  /**
   * Probes until the signal. Resolves when the startup probe has succeeded (at once without one), or has failed, or the
   * signal has come; what follows goes on behind.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { startup, liveness, readiness } = this.#plan.probes;
    if (startup !== undefined && !(await this.#untilChange('startup', startup, false, signal))) {
      if (!isAborted(signal)) this.#fail('startup', startup);
      return;
    }
    if (isAborted(signal)) return;
    if (readiness === undefined) this.#events.ready(true);
    else void this.#readiness(readiness, signal);
    if (liveness !== undefined) void this.#liveness(liveness, signal);
  }

  async #liveness(probe: ProbePlan, signal: AbortSignal): Promise<void> {
    await this.#untilChange('liveness', probe, true, signal);
    if (!isAborted(signal)) this.#fail('liveness', probe);
  }

  async #readiness(probe: ProbePlan, signal: AbortSignal): Promise<void> {
    let ready = false;
    let delayed = probe;
    while (!signal.aborted) {
      const next: boolean = await this.#untilChange('readiness', delayed, ready, signal, true);
      if (isAborted(signal)) return;
      ready = next;
      delayed = { ...probe, initialDelaySeconds: probe.periodSeconds };
      this.#events.ready(ready);
    }
  }

  /**
   * Resolves with the first result that stands: `failureThreshold` failures or `successThreshold` successes in a row.
   * `from`: a result that is waited away from; `stays`: failures change nothing while it is false.
   */
  async #untilChange(
    kind: ProbeKind,
    probe: ProbePlan,
    from: boolean,
    signal: AbortSignal,
    stays = false,
  ): Promise<boolean> {
    let failures = 0;
    let successes = 0;
    await pause(probe.initialDelaySeconds * 1000, signal);
    while (!signal.aborted) {
      const { action, timeoutSeconds } = probe;
      const failure = await runAction(this.#host, action, this.#target(), timeoutSeconds * 1000, signal);
      if (isAborted(signal)) break;
      if (failure === '') {
        successes += 1;
        failures = 0;
        this.#events.probed(kind, '', successes);
        if (!from && successes >= probe.successThreshold) return true;
      } else {
        log.debug('probe failed', { container: this.#plan.name, failure });
        failures += 1;
        successes = 0;
        this.#events.probed(kind, failure, failures);
        if ((from || !stays) && failures >= probe.failureThreshold) return false;
      }
      await pause(probe.periodSeconds * 1000, signal);
    }
    return from;
  }

  #fail(kind: 'startup' | 'liveness', probe: ProbePlan): void {
    this.#events.failed(kind, probe.gracePeriodSeconds, `${kind} probe failed`);
  }
}
