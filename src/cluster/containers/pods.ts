// Pods as containers need them: made, waited for, removed, and why they don't come up.

import type {
  KubernetesListObject,
  V1ContainerStateTerminated,
  V1ContainerStatus,
  V1Pod,
} from '@kubernetes/client-node';
import { within } from '../../async/deadline';
import { DaemonError, isDaemonError } from '../../errors';
import { callApi } from '../client/api-error';
import type { ClusterApi } from '../client/cluster-api';
import { watchObjects, type Watcher } from '../client/watcher';
import type { PodFacts } from '../contract/cluster-record';
import { containerLabel, mainContainer } from './pod-plan';

/** Called after each change; undefined: the Pod is gone. */
export type PodListener = (name: string, pod: V1Pod | undefined) => void;

/** A scheduler that finds no node may yet find one, once a volume is bound or another Pod is gone. */
const schedulingGraceMs = 15_000;
/** A Pod that nothing more is told of for so long: a node tells nothing of a pull, and images may be large. */
const stillPodMs = 15 * 60_000;
/** One that is not told of at all, or is on its way out. */
const stillGoneMs = 60_000;
/** A pull that is tried again has failed once; one failure may be chance. */
const pullReasons = ['ErrImagePull', 'ImagePullBackOff'];
const unbegunReasons = ['StartError', 'ContainerCannotRun'];
const brokenReasons = [
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'ImageInspectError',
];

export class Pods {
  readonly #api: ClusterApi;
  readonly #pods = new Map<string, V1Pod>();
  readonly #listeners = new Set<PodListener>();
  #watcher: Watcher | undefined;

  constructor(api: ClusterApi) {
    this.#api = api;
  }

  async start(): Promise<void> {
    const { namespace } = this.#api;
    const labelSelector = `${containerLabel}=true`;
    const list = (): Promise<KubernetesListObject<V1Pod>> =>
      callApi(() => this.#api.core.listNamespacedPod({ namespace, labelSelector }));
    this.#watcher = await watchObjects<V1Pod>(
      this.#api,
      `/api/v1/namespaces/${namespace}/pods`,
      list,
      {
        changed: (pod) => this.#told(pod.metadata?.name ?? '', pod),
        removed: (pod) => this.#told(pod.metadata?.name ?? '', undefined),
      },
      labelSelector,
    );
  }

  async close(): Promise<void> {
    await this.#watcher?.close();
  }

  get(name: string): V1Pod | undefined {
    return this.#pods.get(name);
  }

  list(): V1Pod[] {
    return [...this.#pods.values()];
  }

  onChange(listener: PodListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One that is there already is taken. Throws what the cluster refuses, in its own words. */
  async ensure(pod: V1Pod): Promise<void> {
    try {
      const { namespace } = this.#api;
      const made = await callApi(() => this.#api.core.createNamespacedPod({ namespace, body: pod }));
      this.#told(made.metadata?.name ?? '', made);
    } catch (error) {
      if (isDaemonError(error, 'Conflict')) return;
      throw isDaemonError(error) ? new DaemonError('Internal', error.message, { cause: error }) : error;
    }
  }

  /** Resolves when process 1 runs. Throws, as soon as it is known, why it will not, or when nothing has happened for long. */
  whenRunning(name: string, signal?: AbortSignal): Promise<PodFacts> {
    return this.#when(name, runningFacts, signal);
  }

  /** As `whenRunning`, as soon as its node has nothing else to do before: that it runs is known up to a second after it does. */
  whenAboutToRun(name: string, signal?: AbortSignal): Promise<PodFacts> {
    return this.#when(name, aboutToRunFacts, signal);
  }

  /** It is not known to run yet, and may come to. */
  isComing(name: string): boolean {
    const pod = this.get(name);
    return pod !== undefined && runningFacts(pod) === undefined && !isLeaving(pod);
  }

  /** Resolves when the Pod has changed, or the time is over. */
  nextChange(name: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        unlisten();
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      const unlisten = this.onChange((changed) => {
        if (changed === name) done();
      });
    });
  }

  async #when(
    name: string,
    factsOf: (pod: V1Pod) => PodFacts | undefined,
    signal?: AbortSignal,
  ): Promise<PodFacts> {
    return new Promise((resolve, reject) => {
      let grace: NodeJS.Timeout | undefined;
      let still: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(grace);
        clearTimeout(still);
        unlisten();
        signal?.removeEventListener('abort', aborted);
      };
      const fail = (error: DaemonError): void => {
        end();
        reject(error);
      };
      const failNow = (): void => {
        grace = undefined;
        const pod = this.#pods.get(name);
        const failure = pod === undefined ? undefined : podFailure(pod);
        if (failure !== undefined) fail(new DaemonError('Internal', failure.reason));
      };
      const look = (): void => {
        const pod = this.#pods.get(name);
        const facts = pod === undefined ? undefined : factsOf(pod);
        if (facts !== undefined) {
          end();
          resolve(facts);
          return;
        }
        clearTimeout(still);
        still = setTimeout(() => fail(standstill(pod)), stillMs(pod));
        const failure = pod === undefined ? undefined : podFailure(pod);
        if (failure?.sure === true) failNow();
        else if (failure !== undefined) grace ??= setTimeout(failNow, schedulingGraceMs);
        else {
          clearTimeout(grace);
          grace = undefined;
        }
      };
      const aborted = (): void => fail(new DaemonError('Unavailable', 'the client has gone'));
      const unlisten = this.onChange((changed, pod) => {
        if (changed !== name) return;
        if (pod === undefined) fail(new DaemonError('Internal', 'the Pod was deleted while it started'));
        else look();
      });
      signal?.addEventListener('abort', aborted, { once: true });
      if (signal?.aborted === true) aborted();
      else look();
    });
  }

  /** Harmless when it is gone. `graceSeconds`: so long who reads its output can go on. */
  async remove(name: string, graceSeconds: number): Promise<void> {
    try {
      await callApi(() =>
        this.#api.core.deleteNamespacedPod({
          namespace: this.#api.namespace,
          name,
          gracePeriodSeconds: graceSeconds,
        }),
      );
    } catch (error) {
      if (!isDaemonError(error, 'NotFound')) throw error;
    }
  }

  /** Resolves when it is gone. Throws Unavailable where nothing is heard of that. */
  async removeWholly(name: string): Promise<void> {
    let unlisten: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      unlisten = this.onChange((changed, pod) => {
        if (changed === name && pod === undefined) resolve();
      });
    });
    try {
      await this.remove(name, 0);
      const overdue = (): DaemonError => standstill(this.#pods.get(name));
      if (this.#pods.has(name)) await within(gone, stillGoneMs, { overdue });
    } finally {
      unlisten();
    }
  }

  #told(name: string, pod: V1Pod | undefined): void {
    if (pod === undefined) this.#pods.delete(name);
    else this.#pods.set(name, pod);
    for (const listener of [...this.#listeners]) listener(name, pod);
  }
}

function mainStatus(pod: V1Pod): V1ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === mainContainer);
}

function stillMs(pod: V1Pod | undefined): number {
  return pod === undefined || pod.metadata?.deletionTimestamp !== undefined ? stillGoneMs : stillPodMs;
}

/** With what was known last. */
function standstill(pod: V1Pod | undefined): DaemonError {
  if (pod === undefined) return new DaemonError('Unavailable', 'the cluster tells nothing of the Pod');
  const { status, metadata } = pod;
  const waiting = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
    .map(({ state }) => state?.waiting?.reason)
    .find((reason) => reason !== undefined);
  const why =
    metadata?.deletionTimestamp === undefined ? (waiting ?? status?.phase ?? 'Pending') : 'Terminating';
  return new DaemonError('Unavailable', `the Pod has not come to run, and nothing happens any more: ${why}`);
}

/** It has ended, or is on its way out: no command can be run in it any more. */
export function isLeaving(pod: V1Pod): boolean {
  return pod.metadata?.deletionTimestamp !== undefined || podEnd(pod) !== undefined;
}

/** Undefined: process 1 does not run, or the Pod is on its way out. */
export function runningFacts(pod: V1Pod): PodFacts | undefined {
  const isRunning = mainStatus(pod)?.state?.running !== undefined;
  return isRunning && pod.metadata?.deletionTimestamp === undefined ? factsOfPod(pod) : undefined;
}

/** Also of one whose init containers have done their work. */
function aboutToRunFacts(pod: V1Pod): PodFacts | undefined {
  const initialized = pod.status?.conditions?.find(({ type }) => type === 'Initialized')?.status === 'True';
  const isAbout = initialized && (pod.status?.podIP ?? '') !== '' && podFailure(pod) === undefined;
  return isAbout && !isLeaving(pod) ? factsOfPod(pod) : runningFacts(pod);
}

function factsOfPod({ metadata, spec, status }: V1Pod): PodFacts {
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    node: spec?.nodeName ?? '',
    address: status?.podIP ?? '',
  };
}

/** Why process 1 is gone for good; undefined: it is not. */
export function podEnd(pod: V1Pod): { exitCode: number; oomKilled: boolean; reason: string } | undefined {
  const terminated = mainStatus(pod)?.state?.terminated;
  const { phase, reason = '', message = '' } = pod.status ?? {};
  if (terminated === undefined && phase !== 'Failed' && phase !== 'Succeeded') return undefined;
  const words = [reason, message].filter((text) => text !== '').join(': ');
  return {
    exitCode: terminated?.exitCode ?? 137,
    oomKilled: terminated?.reason === 'OOMKilled',
    reason: words === '' ? endOf(terminated) : words,
  };
}

/** The message of one that has begun is its own to write; of one that has not, its node's. */
function endOf(terminated: V1ContainerStateTerminated | undefined): string {
  const { reason = 'ended', message = '' } = terminated ?? {};
  return unbegunReasons.includes(reason) && message !== '' ? `${reason}: ${message}` : reason;
}

/** `sure`: it will not come to run by itself soon. */
function podFailure(pod: V1Pod): { reason: string; sure: boolean } | undefined {
  const { status } = pod;
  const ended = podEnd(pod);
  if (ended !== undefined) return { reason: `the Pod has ended: ${ended.reason}`, sure: true };
  for (const each of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const { reason = '', message = '' } = each.state?.waiting ?? {};
    const image = each.name === mainContainer ? each.image : `${each.image} (${each.name})`;
    if (pullReasons.includes(reason)) {
      return { reason: `failed to pull image ${image}: ${message || reason}`, sure: true };
    }
    if (brokenReasons.includes(reason)) return { reason: `${reason}: ${message}`, sure: true };
    const { terminated } = each.state ?? {};
    if (each.name !== mainContainer && terminated !== undefined && terminated.exitCode !== 0) {
      const words = terminated.message ?? terminated.reason ?? '';
      return {
        reason: `init container ${each.name} exited with ${terminated.exitCode}: ${words}`,
        sure: true,
      };
    }
  }
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return { reason: `no node can run the container: ${scheduled.message ?? ''}`, sure: false };
  }
  return undefined;
}
