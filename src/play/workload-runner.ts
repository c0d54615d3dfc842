// The Pods of one workload: all at once, one after the other, or as many as a Job runs at a time.

import type { PodPlan, WorkloadPlan } from '../kubernetes/plan';
import { pause } from '../async/pause';
import { BackOff, type BackOffState } from './back-off';
import { deadlineTimer } from './deadline';
import type { PlayHost } from './host';
import type { PlayRecord } from './play-record';
import { PodChronicle, type PodHistory } from './pod-history';
import { PodRunner, stopPod, type PodOutcome } from './pod-runner';

export class WorkloadRunner {
  readonly plan: WorkloadPlan;
  readonly #host: PlayHost;
  readonly #save: (record: PlayRecord) => void;
  readonly #runners = new Map<string, PodRunner>();
  readonly #abort = new AbortController();
  #record: PlayRecord;
  #done: Promise<void> = Promise.resolve();

  constructor(host: PlayHost, plan: WorkloadPlan, record: PlayRecord, save: (record: PlayRecord) => void) {
    this.#host = host;
    this.plan = plan;
    this.#record = record;
    this.#save = save;
  }

  get record(): PlayRecord {
    return this.#record;
  }

  pod(name: string): PodRunner | undefined {
    return this.#runners.get(name);
  }

  /** Goes on behind, if there is anything left to do. */
  start(): void {
    if (this.#record.state !== 'active') return;
    this.#done = (this.plan.job === undefined ? this.#runPods() : this.#runJob(this.plan.job)).catch(
      (error: unknown) => this.#update({ state: 'ended', reason: String(error) }),
    );
  }

  /** Lets go of its Pods, which run on. */
  async letGo(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #runPods(): Promise<void> {
    const { signal } = this.#abort;
    const runs: Promise<void>[] = [];
    for (const pod of this.plan.pods) {
      if (this.#outcome(pod) !== undefined) continue;
      const run = this.#runPod(pod, signal);
      runs.push(run.then(() => undefined));
      if (this.plan.ordered) await this.#untilReady(pod, run, signal);
    }
    await Promise.all(runs);
    if (!signal.aborted) this.#update({ state: 'ended' });
  }

  async #runPod(pod: PodPlan, signal: AbortSignal, onFailure?: () => void): Promise<PodOutcome> {
    const { name } = pod.template;
    const chronicle = new PodChronicle(this.#record.histories?.[name], (history) =>
      this.#setHistory(name, history),
    );
    const runner = new PodRunner(this.#host, pod, chronicle, onFailure);
    this.#runners.set(name, runner);
    const outcome = await runner.run(signal);
    if (!this.#abort.signal.aborted) {
      this.#update({
        outcomes: { ...this.#record.outcomes, [name]: outcome },
        // A Pod that was stopped says nothing of why.
        ...(outcome === 'Stopped' ? {} : { reason: runner.reason }),
      });
    }
    return outcome;
  }

  async #untilReady(pod: PodPlan, run: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    void run.finally(() => ended.abort());
    const stop = AbortSignal.any([signal, ended.signal]);
    const isReady = (): boolean =>
      this.pod(pod.template.name)
        ?.report()
        .every(({ ready }) => ready) ?? false;
    while (!stop.aborted && !isReady()) await pause(readyPollMs, stop);
  }

  async #runJob({ parallelism, backoffLimit, activeDeadlineSeconds }: JobOf): Promise<void> {
    const giveUp = new AbortController();
    const fail = (reason: string): void => {
      this.#update({ reason });
      giveUp.abort();
    };
    const beganMs = this.#record.beganMs ?? Date.now();
    if (this.#record.beganMs === undefined) this.#update({ beganMs });
    const deadline = deadlineTimer(beganMs, activeDeadlineSeconds, () => fail('DeadlineExceeded'));
    const countFailure = (): void => {
      this.#update({ failures: this.#record.failures + 1 });
      if (this.#record.failures > backoffLimit) fail('BackoffLimitExceeded');
    };
    const signal = AbortSignal.any([this.#abort.signal, giveUp.signal]);
    const left = this.plan.pods.filter((pod) => this.#outcome(pod) !== 'Succeeded');
    const work = async (): Promise<void> => {
      for (let pod = left.shift(); pod !== undefined; pod = left.shift()) {
        await this.#complete(pod, signal, countFailure);
      }
    };
    await Promise.all(Array.from({ length: parallelism }, work));
    clearTimeout(deadline);
    if (this.#abort.signal.aborted) return;
    if (giveUp.signal.aborted) await Promise.all(this.plan.pods.map((pod) => stopPod(this.#host, pod)));
    this.#update({ state: 'ended' });
  }

  /** Until it has succeeded, or the signal comes. */
  async #complete(pod: PodPlan, signal: AbortSignal, countFailure: () => void): Promise<void> {
    const { name } = pod.template;
    const backOff = new BackOff(this.#record.retries?.[name] ?? firstRetry, (state) =>
      this.#update({ retries: { ...this.#record.retries, [name]: state } }),
    );
    await backOff.rest(signal);
    while (!signal.aborted) {
      const outcome = await this.#runPod(pod, signal, countFailure);
      if (outcome !== 'Failed') return;
      countFailure();
      // To Kubernetes the next one is another Pod.
      this.#setHistory(name, undefined);
      backOff.begin(0);
      await backOff.rest(signal);
    }
  }

  #setHistory(podName: string, history: PodHistory | undefined): void {
    const histories = new Map(Object.entries(this.#record.histories ?? {}));
    if (history === undefined) histories.delete(podName);
    else histories.set(podName, history);
    this.#update({ histories: Object.fromEntries(histories) });
  }

  #outcome({ template }: PodPlan): PodOutcome | undefined {
    return this.#record.outcomes[template.name];
  }

  #update(change: Partial<PlayRecord>): void {
    this.#record = { ...this.#record, ...change };
    this.#save(this.#record);
  }
}

type JobOf = NonNullable<WorkloadPlan['job']>;

const readyPollMs = 200;

/** The first failure of a Job's Pod has a pause already. */
const firstRetry: BackOffState = { nextMs: 10_000 };
