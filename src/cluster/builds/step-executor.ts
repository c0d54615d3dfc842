// Runs the steps of BuildKit's builds, each in a Pod of its own, of an image that has what was made before. It has no record: nobody sees
// it but its build, and a Pod whose daemon is gone goes when nothing is heard of that any more.

import type { V1Pod } from '@kubernetes/client-node';
import type { Readable } from 'node:stream';
import { unlessAborted } from '../../async/deadline';
import { OperationQueue } from '../../async/operation-queue';
import { pause } from '../../async/pause';
import { LayerIndexes } from '../../builder/image-files';
import { BuildError } from '../../buildkit/contract/errors';
import type { ExecOutcome, ExecOutput, ExecStep, Executor } from '../../buildkit/contract/executor';
import { DaemonError, errorMessage, isDaemonError } from '../../errors';
import { log } from '../../log';
import { stepStartFailure } from '../../semantics/builds/step-words';
import { newContainerId } from '../../semantics/containers/container-names';
import { nonEmptyLayer } from '../../storage/tar/non-empty-layer';
import { exitCodeOf } from '../../translate/signals';
import { AgentError } from '../../vm/contract/agent-error';
import { beatMs } from '../contract/build-beat';
import type { ClusterContext } from '../containers/context';
import { mainContainer } from '../containers/pod-plan';
import { isLeaving } from '../containers/pods';
import { serveSockets } from '../networks/open-tunnel';
import { whenListed } from '../streams/changes';
import { followLog } from '../streams/follow-log';
import { jobStream } from '../streams/jobs';
import { isNotThereYet } from '../supervisor/kubernetes-control';
import type { Following, RunningProcess, Supervisor } from '../supervisor/supervisor';
import type { ClusterBuildImages } from './build-images';
import type { BuildLayers } from './build-layers';
import { CacheTooLarge, keepCache } from './cache-tars';
import { mountFiles } from './mount-files';
import {
  beatAnnotation,
  contentName,
  filesContainer,
  filledMounts,
  refuseUnsupported,
  socketMounts,
  stepPod,
  stepProcess,
  stepRecord,
  type FilledMount,
} from './step-pod';
import { StepSession } from './step-session';

export interface StepExecutorNeeds {
  context: Pick<ClusterContext, 'settings' | 'pods' | 'networks'> & { config: ClusterContext['config'] };
  supervisor(pod: string, container: string): Supervisor;
  annotate(pod: string, annotations: Record<string, string>): Promise<void>;
  images: Pick<ClusterBuildImages, 'sourceOf' | 'forgetSource' | 'dropSecrets'>;
  layers: BuildLayers;
  /** Of what is kept of a cache mount. */
  maxCacheBytes: number;
}

/** runc's, for whatever keeps a container from starting. */
const failedStartCode = 1;
/** Between questions to a Pod that may have come up: they become longer. */
const firstAskMs = 25;
const lastAskMs = 500;

export class ClusterStepExecutor implements Executor {
  readonly #needs: StepExecutorNeeds;
  readonly #indexes: LayerIndexes;
  readonly #closing = new AbortController();
  readonly #running = new Map<string, Set<Promise<unknown>>>();
  /** One step at a time has a cache, whichever Pods there are. */
  readonly #caches = new Map<string, OperationQueue>();

  constructor(needs: StepExecutorNeeds) {
    this.#needs = needs;
    this.#indexes = new LayerIndexes(needs.layers);
  }

  async run(step: ExecStep, output: ExecOutput, signal: AbortSignal): Promise<ExecOutcome> {
    refuseUnsupported(step);
    const both = AbortSignal.any([signal, this.#closing.signal]);
    const caches = step.mounts.flatMap((mount) => (mount.kind === 'cache' ? [mount.diskPath] : []));
    const run = new StepRun(this.#needs, this.#indexes, step, output, both);
    const running = this.#alone([...new Set(caches)].sort(), () => run.run());
    const ofBuild = this.#running.get(step.buildId) ?? new Set();
    this.#running.set(step.buildId, ofBuild.add(running));
    try {
      return await running;
    } finally {
      ofBuild.delete(running);
    }
  }

  expect(): void {
    // what a Pod is made of is known when it is made
  }

  /** Which node runs it is the cluster's choice: of those that an image of this platform runs on. */
  runs(architecture: string): boolean {
    return ['', 'amd64'].includes(architecture);
  }

  async endBuild(buildId: string): Promise<void> {
    await Promise.allSettled([...(this.#running.get(buildId) ?? [])]);
    this.#running.delete(buildId);
    if (this.#running.size === 0) await this.#needs.images.dropSecrets();
  }

  /** Gives up all steps. Resolves when nothing of them is left; never rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new BuildError('Cancelled', 'the daemon is shutting down'));
    await Promise.allSettled([...this.#running.values()].flatMap((runs) => [...runs]));
  }

  async #alone<T>([path, ...others]: readonly string[], work: () => Promise<T>): Promise<T> {
    if (path === undefined) return work();
    const queue = this.#caches.get(path) ?? new OperationQueue();
    this.#caches.set(path, queue);
    return queue.run(() => this.#alone(others, work));
  }
}

/** One step. */
class StepRun {
  readonly #needs: StepExecutorNeeds;
  readonly #indexes: LayerIndexes;
  readonly #step: ExecStep;
  readonly #output: ExecOutput;
  readonly #signal: AbortSignal;
  readonly #mounts: readonly FilledMount[];

  constructor(
    needs: StepExecutorNeeds,
    indexes: LayerIndexes,
    step: ExecStep,
    output: ExecOutput,
    signal: AbortSignal,
  ) {
    this.#needs = needs;
    this.#indexes = indexes;
    this.#step = step;
    this.#output = output;
    this.#signal = signal;
    this.#mounts = filledMounts(step);
  }

  async run(): Promise<ExecOutcome> {
    const signal = this.#signal;
    signal.throwIfAborted();
    const { context, images } = this.#needs;
    const { networks, settings, config, pods } = context;
    const { diffIds } = this.#step.root;
    const source = await images.sourceOf(diffIds, signal);
    const plain = stepRecord(newContainerId(), this.#step, source, config);
    const record = { ...plain, networks: await networks.requested(plain.hostConfig.NetworkMode, {}) };
    const pod = stepPod(record, this.#step, settings, [await networks.podParts(record)]);
    const name = pod.metadata?.name ?? '';
    let endBeats: (() => void) | undefined;
    try {
      await pods.ensure(pod);
      endBeats = this.#beginBeats(name);
      return await unlessAborted(this.#inPod(name, stepProcess(record, this.#step)), signal);
    } catch (error) {
      // perhaps the registry has lost what was there
      if (isDaemonError(error) && /pull/i.test(error.message)) images.forgetSource(diffIds);
      signal.throwIfAborted();
      throw error;
    } finally {
      endBeats?.();
      await pods.remove(name, 0).catch((error: unknown) => {
        log.warn('the Pod of a step is left to who sweeps', { pod: name, error: errorMessage(error) });
      });
    }
  }

  async #inPod(name: string, process: ReturnType<typeof stepProcess>): Promise<ExecOutcome> {
    if (this.#mounts.length > 0) await this.#fill(name);
    const { pods } = this.#needs.context;
    await pods.whenAboutToRun(name, this.#signal);
    const supervisor = this.#needs.supervisor(name, mainContainer);
    await this.#reached(name, () => whenListed(supervisor, this.#signal));
    const exit = await this.#withSockets(supervisor, () => this.#process(name, supervisor, process));
    const changes = new Map<string, string>();
    let release = (): void => undefined;
    const { keepsChanges, readonly } = this.#step.root;
    const isFailed = exit?.code !== 0;
    if (exit && !readonly && (keepsChanges === true || (isFailed && keepsChanges === 'ifFailed'))) {
      const kept = await this.#changes(supervisor);
      if (kept !== undefined) {
        changes.set(this.#step.root.dest, kept.diffId);
        ({ release } = kept);
      }
    }
    try {
      if (exit !== undefined) await this.#keepCaches(supervisor);
    } catch (error) {
      release();
      throw error;
    }
    return {
      exitCode: exit?.code ?? failedStartCode,
      outOfMemory: exit?.oom ?? false,
      changes,
      release,
      vm: '',
    };
  }

  /** While the work goes on its sockets lead to the agents that the client forwards. */
  async #withSockets<T>(supervisor: Supervisor, work: () => Promise<T>): Promise<T> {
    const sockets = socketMounts(this.#step);
    const over = new AbortController();
    if (sockets.length > 0) void serveSockets(supervisor, (index) => sockets[index]?.connect(), over.signal);
    try {
      return await work();
    } finally {
      over.abort();
    }
  }

  /** Gives the init container what the mounts have in them; when it ends, the step's own can begin. */
  async #fill(name: string): Promise<void> {
    const supervisor = this.#needs.supervisor(name, filesContainer);
    await this.#filesRun(name);
    for (const mount of this.#mounts) {
      const files = await mountFiles({ layers: this.#needs.layers, indexes: this.#indexes }, mount);
      const job = {
        ...({ kind: 'extract', path: mount.directory, noOverwriteDirNonDir: false } as const),
        ...{ setOwner: false, uid: 0, gid: 0 },
      };
      const running = await this.#reached(name, () => supervisor.job(job, this.#signal));
      await send(running, files);
    }
    await supervisor.end(this.#signal).catch((error: unknown) => {
      // its last words may be lost with it
      if (!isDaemonError(error, 'Unavailable')) throw error;
    });
  }

  /** Resolves when the init container runs. Rejects with why the Pod will not. */
  async #filesRun(name: string): Promise<void> {
    const { pods } = this.#needs.context;
    const over = new AbortController();
    const isThere = (pod: V1Pod | undefined): boolean =>
      pod?.status?.initContainerStatuses?.find((each) => each.name === filesContainer)?.state?.running !==
      undefined;
    let unlisten = (): void => undefined;
    const there = new Promise<void>((resolve) => {
      unlisten = pods.onChange((changed, pod) => {
        if (changed === name && isThere(pod)) resolve();
      });
      if (isThere(pods.get(name))) resolve();
    });
    const failed = pods.whenAboutToRun(name, AbortSignal.any([this.#signal, over.signal]));
    failed.catch(() => undefined);
    try {
      await Promise.race([there, failed]);
    } finally {
      unlisten();
      over.abort();
    }
  }

  /** A container may run before the cluster says so: it is asked until it answers, or its Pod has failed. */
  async #reached<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const { pods } = this.#needs.context;
    for (let pauseMs = firstAskMs; ; pauseMs = Math.min(pauseMs * 1.5, lastAskMs)) {
      try {
        return await ask();
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isDaemonError(error, 'Unavailable')) throw error;
        if (!pods.isComing(name) && !isNotThereYet(error)) throw error;
        if (isGone(pods.get(name))) throw error;
      }
      await pods.nextChange(name, pauseMs);
    }
  }

  /** From the request to its end, with all its output told. Undefined: it could not be started, which is told as output. */
  async #process(
    name: string,
    supervisor: Supervisor,
    process: ReturnType<typeof stepProcess>,
  ): Promise<{ code: number; oom: boolean } | undefined> {
    const { pods } = this.#needs.context;
    const { input, running } = this.#output;
    const request = {
      ...{ process, openStdin: input !== undefined, isFirst: true },
      log: { maxBytes: 0, maxFiles: 0, lineBytes: 0 },
    };
    let first: Following;
    try {
      first = await supervisor.start(request, { holds: true }, this.#signal);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      await this.#output.write('stderr', Buffer.from(`${stepStartFailure(error)}\n`));
      return undefined;
    }
    running?.(new StepSession(supervisor, process));
    if (input !== undefined) void this.#pump(input, first);
    const batches = followLog(
      {
        supervisor: () => (isGone(pods.get(name)) ? undefined : supervisor),
        ...{ first, from: first.start.position, follow: true, holds: true },
      },
      this.#signal,
    );
    for await (const { events } of batches)
      for (const event of events) {
        if (event.kind === 'output') await this.#output.write(event.stream, event.data);
        if (event.kind === 'exited') return { code: exitCodeOf(event), oom: event.oom };
      }
    this.#signal.throwIfAborted();
    throw new DaemonError('Unavailable', 'the Pod of the step has ended');
  }

  async #pump(input: AsyncIterable<Buffer>, { input: stdin }: Following): Promise<void> {
    try {
      for await (const chunk of input) await stdin.write(chunk);
      await stdin.end();
    } catch (error) {
      log.debug('input of a build’s step has ended', { error: errorMessage(error) });
    }
  }

  /** As a layer, held; undefined for none. */
  async #changes(supervisor: Supervisor): Promise<{ diffId: string; release: () => void } | undefined> {
    const { layers } = this.#needs;
    const job = await supervisor.job({ kind: 'layer' }, this.#signal);
    const layer = await nonEmptyLayer(jobStream(job, this.#signal));
    if (layer === undefined) return undefined;
    let release = (): void => undefined;
    const onDiffId = (diffId: string): void => {
      release = layers.hold([diffId]);
    };
    try {
      const { diffId } = await layers.add(layer, { signal: this.#signal, onDiffId });
      return { diffId, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #keepCaches(supervisor: Supervisor): Promise<void> {
    for (const { mount, target } of this.#mounts) {
      if (mount.kind !== 'cache' || mount.readonly) continue;
      const job = await supervisor.job({ kind: 'archive', path: target, name: contentName }, this.#signal);
      try {
        const tar = jobStream(job, this.#signal);
        await keepCache(mount.diskPath, mount.selector, tar, this.#needs.maxCacheBytes);
      } catch (error) {
        if (!(error instanceof CacheTooLarge)) throw error;
        const text = `the cache at ${target} is not kept: ${error.message}\n`;
        await this.#output.write('stderr', Buffer.from(text));
      }
    }
  }

  #beginBeats(name: string): () => void {
    const over = new AbortController();
    const beat = async (): Promise<void> => {
      for (let count = 1; await pause(beatMs, over.signal); count += 1) {
        await this.#needs
          .annotate(name, { [beatAnnotation]: String(count) })
          .catch((error: unknown) =>
            log.debug('a step does not say that it goes on', { pod: name, error: errorMessage(error) }),
          );
      }
    };
    void beat();
    return () => over.abort();
  }
}

function isGone(pod: V1Pod | undefined): boolean {
  return pod === undefined || isLeaving(pod);
}

/** Rejects with why the job has failed. */
async function send(running: RunningProcess, files: Readable): Promise<void> {
  const ended = (async (): Promise<void> => {
    const output = running.output[Symbol.asyncIterator]();
    while ((await output.next()).done !== true);
    const { code, message } = await running.exit;
    if (code !== 0) throw new DaemonError('Internal', message);
  })();
  ended.catch(() => undefined);
  try {
    for await (const chunk of files as AsyncIterable<Buffer>)
      await Promise.race([running.input.write(chunk), ended]);
    await running.input.end().catch(() => undefined);
    await ended;
  } finally {
    files.destroy();
    running.close();
  }
}
