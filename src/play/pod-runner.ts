// One Pod of a played manifest: starts it, restarts its containers by Kubernetes' rules, runs its probes and hooks, and says
// how it came to its end.

import { DaemonError, errorMessage, isDaemonError } from '../errors';
import type { ContainerPlan, PodPlan } from '../kubernetes/plan';
import { log } from '../log';
import type { ContainerReport, PodContainerStatus, PodInspect, ProbeReport } from '../api/v1/types';
import { runAction, type ActionTarget } from './actions';
import { isAborted } from './back-off';
import { deadlineTimer } from './deadline';
import { findPod, type PlayHost } from './host';
import type { PodChronicle } from './pod-history';
import { Prober } from './prober';

export type PodOutcome = 'Succeeded' | 'Failed' | 'Stopped';

/** How a container's part ended: with a code, or since the Pod is to stop, or has lost its VM. */
type Ending = { kind: 'exited'; exitCode: number } | { kind: 'stopped' } | { kind: 'lost' };

/** A hook has no time of its own but the Pod's grace period; this is for those that start. */
const postStartTimeoutMs = 300_000;
/** What a probe's command wrote may be long. */
const longestFailure = 500;

export class PodRunner {
  readonly #host: PlayHost;
  readonly #plan: PodPlan;
  /** Called for each restart of a container that had failed. */
  readonly #onFailure: () => void;
  readonly #chronicle: PodChronicle;
  readonly #probing = new Map<string, AbortController>();
  readonly #ready = new Set<string>();
  /** By container and kind. */
  readonly #probed = new Map<string, Map<string, ProbeReport>>();
  #release: (() => void) | undefined;
  #stopping = false;
  #reason = '';

  constructor(
    host: PlayHost,
    plan: PodPlan,
    chronicle: PodChronicle,
    onFailure: () => void = () => undefined,
  ) {
    this.#host = host;
    this.#plan = plan;
    this.#chronicle = chronicle;
    this.#onFailure = onFailure;
  }

  /** Why it does not run, or did not end well. */
  get reason(): string {
    return this.#reason;
  }

  /** Of all but init containers. */
  report(): ContainerReport[] {
    return this.#plan.containers.filter(isLasting).map(({ name }) => ({
      name,
      ready: this.#ready.has(name),
      restartCount: this.#chronicle.restartCount(name),
      ...(this.#probed.has(name) ? { probes: [...(this.#probed.get(name)?.values() ?? [])] } : {}),
    }));
  }

  /** The Pod exists. Resolves with how it ended; `Stopped` when the signal came, or somebody else has stopped it. */
  async run(signal: AbortSignal): Promise<PodOutcome> {
    const own = new AbortController();
    const deadline = this.#deadline(own);
    try {
      return await this.#run(AbortSignal.any([signal, own.signal]), own.signal);
    } finally {
      clearTimeout(deadline);
      this.#letGo();
    }
  }

  async #run(signal: AbortSignal, deadline: AbortSignal): Promise<PodOutcome> {
    const { name } = this.#plan.template;
    await this.#host.whenKnown(name);
    const backOff = this.#chronicle.startBackOff();
    const ended = await this.#endedUnseen(signal);
    if (ended !== undefined) return ended;
    await backOff.rest(signal);
    for (;;) {
      const failed = await this.#start(signal);
      if (isAborted(deadline)) return this.#overdue();
      if (isAborted(signal)) return 'Stopped';
      if (failed === undefined) {
        this.#chronicle.setUp(true);
        const ending = await this.#keepAll(signal);
        if (isAborted(deadline)) return this.#overdue();
        if (isAborted(signal)) return 'Stopped';
        this.#chronicle.setUp(false);
        if (ending !== 'lost') return ending;
      } else {
        this.#reason = failed;
        log.info('Pod of a manifest could not be started', { pod: name, reason: failed });
        if (this.#isStopping()) return 'Stopped';
        if (this.#plan.restartPolicy === 'Never') return 'Failed';
        this.#onFailure();
      }
      this.#letGo();
      backOff.begin(0);
      await backOff.rest(signal);
      if (this.#isStopping()) return 'Stopped';
    }
  }

  /**
   * A Pod that was up, and is not any more: its containers ended while no daemon was there, or waited for their restart.
   * Resolves with its outcome, or undefined when it is to be started again; then what they have to wait is over.
   */
  async #endedUnseen(signal: AbortSignal): Promise<PodOutcome | undefined> {
    if (!this.#chronicle.isUp || this.#isRunning()) return undefined;
    this.#chronicle.setUp(false);
    const mains = this.#plan.containers.filter(({ role }) => role === 'main');
    const exits = mains.map((plan) => ({ plan, exitCode: this.#status(plan.name)?.exitCode ?? 0 }));
    const again = exits.filter(({ plan, exitCode }) => this.#shallRestart(plan, exitCode));
    if (again.length === 0) return this.#outcomeOf(exits.map(({ exitCode }) => exitCode));
    await Promise.all(again.map(({ plan, exitCode }) => this.#pauseAfter(plan, exitCode, signal)));
    return undefined;
  }

  /** Before the container runs again. Of an end that an earlier daemon has seen the rest of the pause is waited for. */
  async #pauseAfter({ name }: ContainerPlan, exitCode: number, signal: AbortSignal): Promise<void> {
    const backOff = this.#chronicle.backOff(name);
    if (!backOff.isPausing) {
      if (exitCode !== 0) this.#onFailure();
      backOff.begin(ranForMs(this.#status(name)));
    }
    await backOff.rest(signal);
  }

  #outcomeOf(exitCodes: readonly number[]): PodOutcome {
    const failed = exitCodes.find((exitCode) => exitCode !== 0);
    if (failed === undefined) return 'Succeeded';
    this.#reason = `a container ended with ${failed}`;
    return 'Failed';
  }

  /** Undefined: it runs. Else why it does not. */
  async #start(signal: AbortSignal): Promise<string | undefined> {
    const { name } = this.#plan.template;
    try {
      if (this.#isRunning()) {
        this.#hold();
        for (const container of this.#plan.containers.filter(isLasting)) void this.#probe(container.name);
        return undefined;
      }
      await this.#host.pods.start(name, {}, signal);
      this.#reason = '';
      return undefined;
    } catch (error) {
      return errorMessage(error);
    }
  }

  /** A hook of the Pod's start. */
  async containerStarted(name: string): Promise<void> {
    this.#chronicle.started(name);
    await this.#afterStart(name);
  }

  /** postStart, then probes. Waits for a sidecar's startup probe. */
  async #afterStart(name: string): Promise<void> {
    this.#hold();
    const plan = this.#container(name);
    const { postStart } = plan.hooks;
    if (postStart !== undefined) {
      const signal = new AbortController().signal;
      const failure = await runAction(this.#host, postStart, this.#target(name), postStartTimeoutMs, signal);
      if (failure !== '') {
        throw new DaemonError('Internal', `container ${name}: postStart hook failed: ${failure}`);
      }
    }
    const started = this.#probe(name);
    if (plan.role === 'sidecar') await started;
  }

  /** Before a container gets its signal: preStop, within the grace period. */
  async containerStopping(name: string, graceSeconds = this.#plan.gracePeriodSeconds): Promise<void> {
    this.#endProbes(name);
    const { preStop } = this.#container(name).hooks;
    if (preStop === undefined || graceSeconds === 0) return;
    const signal = new AbortController().signal;
    const failure = await runAction(this.#host, preStop, this.#target(name), graceSeconds * 1000, signal);
    if (failure !== '') log.warn('preStop hook failed', { container: name, failure });
  }

  /** Somebody stops the Pod: its containers are not to be restarted. */
  podStopping(): void {
    this.#stopping = true;
  }

  /** Until the main containers have ended for good. */
  async #keepAll(signal: AbortSignal): Promise<PodOutcome | 'lost'> {
    const end = new AbortController();
    const either = AbortSignal.any([signal, end.signal]);
    const sidecars = this.#plan.containers.filter(({ role }) => role === 'sidecar');
    const mains = this.#plan.containers.filter(({ role }) => role === 'main');
    const kept = sidecars.map((container) => this.#keep(container, either));
    const endings = await Promise.all(mains.map((container) => this.#keep(container, either)));
    end.abort();
    await Promise.all(kept);
    if (endings.some(({ kind }) => kind === 'stopped')) return 'Stopped';
    if (endings.some(({ kind }) => kind === 'lost')) return 'lost';
    return this.#outcomeOf(endings.map((ending) => (ending.kind === 'exited' ? ending.exitCode : 0)));
  }

  async #keep(plan: ContainerPlan, signal: AbortSignal): Promise<Ending> {
    for (;;) {
      const exitCode = await this.#exit(plan.name, signal);
      this.#endProbes(plan.name);
      if (exitCode === undefined || this.#isStopping()) return { kind: 'stopped' };
      if (!this.#shallRestart(plan, exitCode)) return { kind: 'exited', exitCode };
      await this.#pauseAfter(plan, exitCode, signal);
      if (signal.aborted || this.#isStopping()) return { kind: 'stopped' };
      if (this.#inspect()?.state !== 'Running') return { kind: 'lost' };
      this.#chronicle.started(plan.name);
      await this.#restart(plan);
    }
  }

  #shallRestart({ role }: ContainerPlan, exitCode: number): boolean {
    const { restartPolicy } = this.#plan;
    return (
      role === 'sidecar' || restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && exitCode !== 0)
    );
  }

  /** Never rejects: what can't be started has ended once more. */
  async #restart({ name }: ContainerPlan): Promise<void> {
    const id = this.#status(name)?.id ?? '';
    try {
      await this.#host.containers.start(id, {});
      await this.#afterStart(name);
    } catch (error) {
      this.#reason = errorMessage(error);
      log.info('container of a manifest could not be restarted', { container: name, reason: this.#reason });
      await this.#end(name, undefined);
    }
  }

  /** Undefined: the signal came, or the container is gone. */
  async #exit(name: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      const { exit } = await this.#host.containers.wait(this.#status(name)?.id ?? '', 'not-running', signal);
      return (await exit).StatusCode;
    } catch {
      return undefined;
    }
  }

  #probe(name: string): Promise<void> {
    this.#endProbes(name);
    const abort = new AbortController();
    this.#probing.set(name, abort);
    const prober = new Prober(this.#host, this.#container(name), () => this.#target(name), {
      ready: (ready) => {
        if (ready) this.#ready.add(name);
        else this.#ready.delete(name);
      },
      probed: (kind, failure, count) => {
        if (abort.signal.aborted) return;
        const said = failure.slice(0, longestFailure);
        const known = this.#probed.get(name) ?? new Map<string, ProbeReport>();
        known.set(kind, { kind, at: new Date().toISOString(), failure: said, count });
        this.#probed.set(name, known);
      },
      failed: (_, graceSeconds, reason) => {
        this.#reason = `container ${name}: ${reason}`;
        log.info('container of a manifest is ended', { container: name, reason });
        void this.#end(name, graceSeconds);
      },
    });
    return prober.run(abort.signal);
  }

  #endProbes(name: string): void {
    this.#ready.delete(name);
    this.#probed.delete(name);
    this.#probing.get(name)?.abort();
    this.#probing.delete(name);
  }

  /** Never rejects. */
  async #end(name: string, graceSeconds = this.#plan.gracePeriodSeconds): Promise<void> {
    try {
      await this.containerStopping(name, graceSeconds);
      await this.#host.containers.stop(this.#status(name)?.id ?? '', { timeoutSeconds: graceSeconds });
    } catch (error) {
      if (!isDaemonError(error, 'NotModified')) log.warn('container could not be ended', { name, error });
    }
  }

  #deadline(own: AbortController): NodeJS.Timeout | undefined {
    const beganMs = this.#chronicle.begin();
    return deadlineTimer(beganMs, this.#plan.activeDeadlineSeconds, () => own.abort());
  }

  async #overdue(): Promise<PodOutcome> {
    this.#reason = 'DeadlineExceeded';
    await stopPod(this.#host, this.#plan);
    return 'Failed';
  }

  #hold(): void {
    this.#release ??= this.#host.pods.hold(this.#plan.template.name);
  }

  #letGo(): void {
    for (const { name } of this.#plan.containers) this.#endProbes(name);
    this.#release?.();
    this.#release = undefined;
  }

  #isStopping(): boolean {
    return this.#stopping || this.#inspect() === undefined;
  }

  #isRunning(): boolean {
    const pod = this.#inspect();
    return pod?.state === 'Running' && pod.detail === '';
  }

  #inspect(): PodInspect | undefined {
    return findPod(this.#host, this.#plan.template.name);
  }

  #status(name: string): PodContainerStatus | undefined {
    return this.#inspect()?.containers.find((container) => container.name === name);
  }

  #target(name: string): ActionTarget {
    const addresses = Object.values(this.#inspect()?.addresses ?? {});
    return { containerId: this.#status(name)?.id ?? '', address: addresses[0]?.ipv4Address ?? '' };
  }

  #container(name: string): ContainerPlan {
    const plan = this.#plan.containers.find((container) => container.name === name);
    if (plan === undefined) throw new DaemonError('Internal', `the Pod has no container ${name}`);
    return plan;
  }
}

/** Not an init container, which only comes before the Pod. */
export function isLasting({ role }: ContainerPlan): boolean {
  return role !== 'init';
}

/** With its grace period; one that does not run is as good. */
export async function stopPod(host: PlayHost, { template, gracePeriodSeconds }: PodPlan): Promise<void> {
  try {
    await host.pods.stop(template.name, { timeoutSeconds: gracePeriodSeconds });
  } catch (error) {
    if (!isDaemonError(error, 'NotModified') && !isDaemonError(error, 'NotFound')) throw error;
  }
}

function ranForMs(status: PodContainerStatus | undefined): number {
  const ran = Date.parse(status?.finishedAt ?? '') - Date.parse(status?.startedAt ?? '');
  return Number.isFinite(ran) ? ran : 0;
}
