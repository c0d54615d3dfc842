// builds/: what BuildKit's solver needs of the engine: commands in VMs, images, disks of caches.
//
// Runs the steps of builds. A step is no container: nobody sees it but its build. What it takes it gives back, however it ends; what a
// crash has left is found by the step's id, as that of containers that are no more.

import { unlessAborted, settlesWithin } from '../../async/deadline';
import { BuildError } from '../../buildkit/contract/errors';
import type { ExecOutcome, ExecOutput, ExecStep, Executor } from '../../buildkit/contract/executor';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import { guestContainer } from '../../translate/pod-to-guest';
import {
  guestEmulator,
  guestRootfs,
  guestTrees,
  withoutRepeats,
  type LayerDisks,
} from '../../translate/pod-to-vm';
import { sigkill } from '../../translate/signals';
import { writeBackTimeoutMs } from '../../vm/contract/agent';
import { AgentError } from '../../vm/contract/agent-error';
import type { ExitStatus } from '../../vm/contract/protocol';
import { newContainerId } from '../../semantics/containers/container-names';
import { findEmulator } from '../core/emulators';
import { isNative } from '../../registry/platform';
import { stepStartFailure } from '../../semantics/builds/step-words';
import type { Engine } from '../engine';
import { nonEmptyLayer } from '../../storage/tar/non-empty-layer';
import { tunnelName } from '../vms/socket-tunnels';
import type { RunningPod } from '../vms/running-pod';
import { BuildPods, type BuildPod, type Entered, type StepDisks } from './build-pods';
import type { StepJournal } from './step-journal';
import { StepOutput } from './step-output';
import { StepSession } from './step-session';
import {
  keptMounts,
  placedMounts,
  plainStep,
  stepPod,
  treeMounts,
  type PlacedMount,
  type StepPod,
} from './step-pod';

type ExecutorEngine = Pick<
  Engine,
  'config' | 'layers' | 'disks' | 'networks' | 'vms' | 'pods' | 'sockets' | 'fileJobs'
>;

/** runc's, for whatever keeps a container from starting. */
const failedStartCode = 1;
/** How long the processes of a step that was given up may take to die. */
const killTimeoutMs = 10_000;
/** With the copying of what an empty cache disk gets. */
const fillingTimeoutMs = 600_000;

export class StepExecutor implements Executor {
  readonly #engine: ExecutorEngine;
  readonly #pods: BuildPods;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(engine: ExecutorEngine, journal: StepJournal) {
    this.#engine = engine;
    this.#pods = new BuildPods(engine, journal);
  }

  async run(step: ExecStep, output: ExecOutput, signal: AbortSignal): Promise<ExecOutcome> {
    const both = AbortSignal.any([signal, this.#closing.signal]);
    const run = new StepRun(this.#engine, this.#pods, step, output, both);
    const running = run.run();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  expect(buildId: string): void {
    if (this.#closing.signal.aborted) return;
    const { pod } = stepPod('', plainStep, [], this.#engine.config, '');
    this.#pods.expect(buildId, pod);
  }

  runs(architecture: string): boolean {
    return isNative(architecture) || findEmulator(this.#engine.config, architecture) !== undefined;
  }

  endBuild(buildId: string): Promise<void> {
    return this.#pods.end(buildId);
  }

  /** Gives up all steps. Resolves when nothing of them is left; never rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new BuildError('Cancelled', 'the daemon is shutting down'));
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
    await this.#pods.endAll();
  }
}

/** One step. */
class StepRun {
  readonly #id = newContainerId();
  readonly #engine: ExecutorEngine;
  readonly #pods: BuildPods;
  readonly #step: ExecStep;
  readonly #placed: readonly PlacedMount[];
  readonly #output: ExecOutput;
  readonly #signal: AbortSignal;
  readonly #releases: (() => void)[] = [];

  constructor(
    engine: ExecutorEngine,
    pods: BuildPods,
    step: ExecStep,
    output: ExecOutput,
    signal: AbortSignal,
  ) {
    this.#engine = engine;
    this.#pods = pods;
    this.#step = step;
    this.#placed = placedMounts(step);
    this.#output = output;
    this.#signal = signal;
  }

  async run(): Promise<ExecOutcome> {
    this.#signal.throwIfAborted();
    let place: BuildPod | undefined;
    try {
      const { config, networks } = this.#engine;
      const { dns, dnsSearch, dnsOptions } = config.containerDefaults;
      const resolvConf = networks.resolvConf({
        dns: [...dns],
        search: [...dnsSearch],
        options: [...dnsOptions],
        embedded: false,
      });
      const wanted = stepPod(this.#id, this.#step, this.#placed, config, resolvConf);
      const disks = await this.#disks();
      const entered = await this.#pods.enter(this.#step, wanted.pod, disks, this.#signal);
      place = entered.place;
      this.#signal.throwIfAborted();
      const status = await this.#process(entered, wanted);
      const { pod } = place;
      const changes =
        status === undefined ? new Map<string, string>() : await this.#changes(pod, status.exitCode !== 0);
      const left = this.#leave(place);
      place = undefined;
      // a disk of a cache may be wanted by the next step, in another VM
      if (this.#hasCache || this.#step.alone) await left;
      return {
        exitCode: status?.exitCode ?? failedStartCode,
        outOfMemory: status?.oomKilled ?? false,
        changes,
        release: () => this.#release(),
        vm: this.#step.alone ? '' : pod.vm.id,
      };
    } catch (error) {
      this.#release();
      if (place !== undefined) await this.#giveUp(place);
      else this.#giveBack();
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  get #hasCache(): boolean {
    return this.#placed.some(({ mount }) => mount.kind === 'cache');
  }

  async #disks(): Promise<StepDisks> {
    const { config } = this.#engine;
    const [root, ...trees] = await Promise.all([
      this.#layers(this.#step.root.diffIds),
      ...treeMounts(this.#placed).map(async (mount) =>
        mount.kind === 'layers'
          ? this.#layers(mount.diffIds)
          : { ...(await this.#layers(mount.fill ?? [])), ownPath: mount.diskPath },
      ),
    ]);
    const emulator = findEmulator(config, this.#step.architecture);
    return {
      containerId: this.#id,
      ...root,
      trees,
      ...(emulator === undefined ? {} : { emulator }),
    };
  }

  async #layers(diffIds: readonly string[]): Promise<LayerDisks> {
    const { layers } = this.#engine;
    const once = withoutRepeats(diffIds);
    const bundlePath = await layers.bundle(once);
    return { layerPaths: layers.diskPaths(once), ...(bundlePath === undefined ? {} : { bundlePath }) };
  }

  /** From the request to its end, with all its output told. Undefined: it could not be started, which is told as output. */
  async #process(
    { place: { pod }, disks, luns, ready }: Entered,
    { container, files }: StepPod,
  ): Promise<ExitStatus | undefined> {
    const { agent } = pod.vm;
    await this.#listen(pod);
    const exited = new Promise<ExitStatus>((resolve) => pod.exitListeners.set(this.#id, resolve));
    const lost = pod.vm.ended.then(({ message }): never => {
      throw new DaemonError('Unavailable', `the VM of the step has ended: ${message}`);
    });
    lost.catch(() => undefined);
    const output = new StepOutput(agent, this.#output, this.#step.terminal);
    try {
      const guest = guestContainer(container, {
        rootfs: guestRootfs(luns, disks),
        trees: guestTrees(luns, disks),
        ...guestEmulator(luns, disks),
        files,
        channels: output.channels,
        ownNetwork: this.#step.network === 'none',
      });
      const request = { container: { ...guest, step: true } };
      const fills = treeMounts(this.#placed).some(
        (mount) => mount.kind === 'cache' && mount.fill !== undefined,
      );
      const begun = agent.request('container.start', request, fills ? { timeoutMs: fillingTimeoutMs } : {});
      await unlessAborted(Promise.race([Promise.all([begun, ready]), lost]), this.#signal);
      output.begun();
      this.#output.running?.(new StepSession(pod, container, lost));
      const status = await unlessAborted(Promise.race([exited, lost]), this.#signal);
      await output.drained();
      return status;
    } catch (error) {
      output.abandon();
      if (!(error instanceof AgentError) || this.#signal.aborted) throw error;
      // what the runtime would have said, as BuildKit shows it: on the step's own stderr
      await this.#output.write('stderr', Buffer.from(`${stepStartFailure(error)}\n`));
      return undefined;
    } finally {
      pod.exitListeners.delete(this.#id);
    }
  }

  /** Sockets of agents that the client forwards. */
  async #listen({ vm }: RunningPod): Promise<void> {
    const streams = new Map(
      this.#placed.flatMap(({ mount }, index) =>
        mount.kind === 'ssh' ? [[tunnelName(this.#id, index), mount] as const] : [],
      ),
    );
    if (streams.size === 0) return;
    this.#engine.sockets.allowStreams(
      this.#id,
      new Map([...streams].map(([name, { connect }]) => [name, connect])),
    );
    for (const [name, { mode, uid, gid }] of streams)
      await vm.agent.request('tunnel.listen', { name, mode, uid, gid });
  }

  /** As layers of the store, held. */
  async #changes({ vm }: RunningPod, isFailed: boolean): Promise<Map<string, string>> {
    const { fileJobs, layers } = this.#engine;
    const changes = new Map<string, string>();
    const stubs = this.#step.removeMountStubs ? 'all' : 'points';
    for (const { mount, tree } of keptMounts(this.#step, this.#placed, isFailed)) {
      const which = tree === undefined ? ({ stubs } as const) : { tree };
      const job = await fileJobs.start(vm.agent, this.#id, { kind: 'layer', ...which }, this.#signal);
      const layer = await nonEmptyLayer(job.output);
      if (layer === undefined) continue;
      const onDiffId = (diffId: string): unknown => this.#releases.push(layers.hold([diffId]));
      const { diffId } = await layers.add(layer, { signal: this.#signal, onDiffId });
      changes.set(mount.dest, diffId);
    }
    return changes;
  }

  #release(): void {
    for (const release of this.#releases.splice(0)) release();
  }

  /** Its VM is the build's next step's, if it has none of its own. Never rejects. */
  async #leave(place: BuildPod): Promise<void> {
    const { alone } = this.#step;
    if (alone && this.#hasCache) await this.#unmount(place.pod);
    await this.#pods.leave(place, this.#id, { goesOn: !alone, giveBack: () => this.#giveBack() });
  }

  /** Its processes end, and no other step has its VM. Never rejects. */
  async #giveUp(place: BuildPod): Promise<void> {
    const { pod } = place;
    // otherwise they end with the VM
    if (this.#hasCache) {
      const exited = new Promise<void>((resolve) => pod.exitListeners.set(this.#id, () => resolve()));
      try {
        const signal = { id: this.#id, signal: sigkill, all: true };
        await pod.vm.agent.request('container.signal', signal);
        await settlesWithin(Promise.race([exited, pod.vm.ended]), killTimeoutMs);
        await this.#unmount(pod);
      } catch (error) {
        log.debug('a step that was given up', { stepId: this.#id, error });
      } finally {
        pod.exitListeners.delete(this.#id);
      }
    }
    await this.#pods.leave(place, this.#id, { goesOn: false, giveBack: () => this.#giveBack() });
  }

  /** What it wrote to the disks of caches is there: these outlive the VM. Never rejects. */
  async #unmount({ vm }: RunningPod): Promise<void> {
    await vm.agent
      .request('container.remove', { id: this.#id, sync: false }, { timeoutMs: writeBackTimeoutMs })
      .catch((error: unknown) =>
        log.warn('what a step wrote to its caches may be lost', { stepId: this.#id, error }),
      );
  }

  /** It is in no VM any more. */
  #giveBack(): void {
    this.#engine.sockets.forget(this.#id);
  }
}
