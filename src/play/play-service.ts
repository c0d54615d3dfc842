// play/: runs what Kubernetes manifests say.
//
// `play` and `down`: what a file of manifests makes, keeps running and takes away again.

import { createHash } from 'node:crypto';
import type { PlayBackend } from '../api/v1/backend';
import type { PlayReply, WorkloadStatus } from '../api/v1/types';
import { OperationQueue } from '../async/operation-queue';
import { DaemonError, errorMessage, isDaemonError } from '../errors';
import type { Compiled } from '../kubernetes/compile';
import type { PodPlan, WorkloadPlan } from '../kubernetes/plan';
import { log } from '../log';
import { findPod, type PlayHost } from './host';
import { prepareImages } from './images';
import { playCollection, type PlayRecord } from './play-record';
import { isLasting, stopPod } from './pod-runner';
import { playLabel, prepareVolumes, removeVolumes } from './volumes';
import { WorkloadRunner } from './workload-runner';

export class PlayService implements PlayBackend {
  readonly #host: PlayHost;
  readonly #workloads = new Map<string, WorkloadRunner>();
  readonly #operations = new OperationQueue();

  constructor(host: PlayHost) {
    this.#host = host;
    host.pods.setHooks({
      beforeStop: (name) => this.#runnerOf(name)?.podStopping(),
      afterContainerStart: async ({ name }, container) => {
        await this.#runnerOf(name)?.containerStarted(container);
      },
      beforeContainerStop: async ({ name }, container) => {
        await this.#runnerOf(name)?.containerStopping(container);
      },
    });
  }

  /** Once, after the Pods were recovered: goes on with what was played. */
  async recover(): Promise<void> {
    for (const record of this.#host.documents.all<PlayRecord>(playCollection)) {
      try {
        const { workloads } = await this.#compile(record.text);
        const plan = workloads.find((workload) => idOf(workload) === record.id);
        if (plan !== undefined) this.#run(plan, record);
      } catch (error) {
        log.error('played manifest can not be read any more', { id: record.id, error });
      }
    }
  }

  async play(
    text: string,
    options: { replace: boolean; start: boolean },
    signal: AbortSignal,
  ): Promise<PlayReply> {
    const { warnings, workloads, claims } = await this.#compile(text);
    if (workloads.length === 0) {
      throw new DaemonError(
        'InvalidParameter',
        'the file has no Pod, Deployment, StatefulSet, DaemonSet or Job',
      );
    }
    return this.#operations.run(async () => {
      const there = workloads.flatMap((plan) => this.#workloads.get(idOf(plan)) ?? []);
      const [first] = there;
      if (first !== undefined && !options.replace) {
        throw new DaemonError(
          'Conflict',
          `${idOf(first.plan)} is played already: replace it, or take it down first`,
        );
      }
      // What may fail for long is done while the old ones run.
      for (const pod of workloads.flatMap(({ pods }) => pods)) await prepareImages(this.#host, pod, signal);
      for (const old of there) await this.#down(old, { force: false });
      const recordOf = (plan: WorkloadPlan, state: PlayRecord['state'], reason = ''): PlayRecord => {
        return { id: idOf(plan), text, state, reason, outcomes: {}, failures: 0 };
      };
      // Before anything is there: what a daemon's end cuts short can be taken down.
      for (const plan of workloads) this.#save(recordOf(plan, 'stopped', 'it was not made to its end'));
      try {
        await this.#make(workloads, claims);
      } catch (error) {
        for (const plan of workloads) this.#host.documents.delete(playCollection, idOf(plan));
        if (there.length === 0) throw error;
        const gone = there.map(({ plan }) => idOf(plan)).join(', ');
        throw new DaemonError(
          isDaemonError(error) ? error.code : 'Internal',
          `${gone}: taken down, and could not be made anew: ${errorMessage(error)}`,
          { cause: error },
        );
      }
      for (const plan of workloads) this.#run(plan, recordOf(plan, options.start ? 'active' : 'stopped'));
      return {
        workloads: this.list().filter(({ kind, name }) =>
          workloads.some((w) => w.kind === kind && w.name === name),
        ),
        warnings,
      };
    });
  }

  async down(text: string, options: { force: boolean; volumes: boolean }): Promise<void> {
    const { workloads, claims } = await this.#compile(text);
    return this.#operations.run(async () => {
      const there = workloads.flatMap((plan) => this.#workloads.get(idOf(plan)) ?? []);
      if (there.length === 0) throw new DaemonError('NotFound', 'nothing of the file is played');
      await Promise.all(there.map((workload) => this.#down(workload, options)));
      if (!options.volumes) return;
      for (const name of claims) await this.#host.volumes.remove(name, { force: true });
    });
  }

  list(): WorkloadStatus[] {
    return [...this.#workloads.values()].map((workload) => {
      const { plan, record } = workload;
      return {
        kind: plan.kind,
        name: plan.name,
        state: record.state,
        reason: record.reason,
        failures: record.failures,
        pods: plan.pods.map((pod) => this.#podStatus(workload, pod)),
      };
    });
  }

  /** Pods run on. */
  async close(): Promise<void> {
    await Promise.all([...this.#workloads.values()].map((workload) => workload.letGo()));
  }

  #podStatus(
    workload: WorkloadRunner,
    { template: { name }, containers }: PodPlan,
  ): WorkloadStatus['pods'][number] {
    const runner = workload.pod(name);
    const report =
      runner?.report() ??
      containers.filter(isLasting).map((c) => ({ name: c.name, ready: false, restartCount: 0 }));
    const outcome = workload.record.outcomes[name];
    if (outcome !== undefined) return { name, phase: outcome, containers: report };
    const pod = findPod(this.#host, name);
    const phase =
      pod === undefined ? 'Gone' : pod.state === 'Running' && pod.detail === '' ? 'Running' : 'Pending';
    return { name, phase, containers: report };
  }

  /** What reads manifests takes a fifth of the daemon's loading time, so it waits for the first one. */
  async #compile(text: string): Promise<Compiled & { warnings: string[] }> {
    const [{ parseManifests }, { compileManifests }] = await Promise.all([
      import('../kubernetes/manifest.js'),
      import('../kubernetes/compile.js'),
    ]);
    const { manifests, warnings } = parseManifests(text);
    const { nodeName } = this.#host;
    return {
      ...compileManifests(manifests, { nodeName, uidOf: (pod) => uid(`${nodeName}/${pod}`) }),
      warnings,
    };
  }

  async #make(workloads: readonly WorkloadPlan[], claims: readonly string[]): Promise<void> {
    for (const Name of claims) await this.#host.volumes.create({ Name, Labels: { [playLabel]: '' } });
    const begun: PodPlan[] = [];
    const created = new Set<string>();
    try {
      for (const pod of workloads.flatMap(({ pods }) => pods)) {
        begun.push(pod);
        await prepareVolumes(this.#host, pod);
        await this.#host.pods.create(pod.template);
        created.add(pod.template.name);
      }
    } catch (error) {
      for (const pod of begun.reverse()) {
        const { name } = pod.template;
        // One that was not created may be another's Pod of the same name.
        if (created.has(name)) await this.#host.pods.remove(name, { force: true });
        await removeVolumes(this.#host, pod).catch((undoError: unknown) =>
          log.warn('volumes of a Pod could not be removed', { error: errorMessage(undoError) }),
        );
      }
      throw error;
    }
  }

  #run(plan: WorkloadPlan, record: PlayRecord): void {
    this.#save(record);
    const runner = new WorkloadRunner(this.#host, plan, record, (next) => this.#save(next));
    this.#workloads.set(record.id, runner);
    runner.start();
  }

  #save(record: PlayRecord): void {
    this.#host.documents.put(playCollection, record.id, record);
  }

  async #down(workload: WorkloadRunner, { force }: { force: boolean }): Promise<void> {
    const { plan } = workload;
    // Its Pods keep their runners until they are stopped, for the hooks.
    await Promise.all(
      plan.pods.map(async (pod) => {
        workload.pod(pod.template.name)?.podStopping();
        if (!force && pod.gracePeriodSeconds > 0) await stopPod(this.#host, pod);
      }),
    );
    await workload.letGo();
    for (const pod of plan.pods) {
      await this.#host.pods
        .remove(pod.template.name, { force: true, volumes: true })
        .catch((error: unknown) => {
          if (!isDaemonError(error, 'NotFound')) throw error;
        });
      await removeVolumes(this.#host, pod);
    }
    this.#host.documents.delete(playCollection, idOf(plan));
    this.#workloads.delete(idOf(plan));
  }

  #runnerOf(podName: string) {
    for (const workload of this.#workloads.values()) {
      const runner = workload.pod(podName);
      if (runner !== undefined) return runner;
    }
    return undefined;
  }
}

function idOf({ kind, name }: { kind: string; name: string }): string {
  return `${kind}/${name}`;
}

/** A UUID that stays the same for the same name. */
function uid(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
