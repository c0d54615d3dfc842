// ContainerStart: an Idle VM becomes the container's. Steps run side by side where they can, and all of them are undone
// when one fails.

import { randomBytes } from 'node:crypto';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { donorOf } from '../../translate/container-to-pod';
import type { PodContainerSpec, PodSpec } from '../../translate/pod';
import { guestContainer } from '../../translate/pod-to-guest';
import { guestRootfs, type ContainerDisks } from '../../translate/pod-to-vm';
import type { Agent } from '../../vm/contract/agent';
import type { GuestContainerSpec, GuestFile } from '../../vm/contract/protocol';
import type { RestoreSource, SavedVm } from '../../vm/contract/vm';
import { requireBlockDevices } from './block-devices';
import { podOf } from './container-pod';
import type { ContainerLogWriter, LogOffsets } from '../core/container-log';
import {
  allocateEndpoints,
  dnsForwarders,
  filesOf,
  networkFiles,
  networksWith,
  publishNetworkEvents,
  publishPorts,
  recordedEndpoints,
  releaseEndpoints,
} from '../networks/container-network';
import { renewLinkingHosts } from '../networks/connect';
import { publishVolumeEvents, requireBindSources } from '../mounts/container-mounts';
import { fillNothing, mergeMounts, prepareShares, type PreparedShares } from '../mounts/container-shares';
import type { StoredCheckpoint } from './checkpoint-store';
import {
  requireFitting,
  RestoredDisk,
  restoredShares,
  restoreSource,
  resumeSaved,
  savedChannels,
  type RestoredShares,
} from './restore';
import { eventAttributes, type ContainerRecord } from '../core/container-record';
import { namedPodOf, withPodHostname } from '../vms/named-pods';
import { extendEndpoints, podEndpointRequest } from '../networks/pod-networks';
import { networkOwner, placeContainer, type Joining } from './placement';
import type { Container } from '../core/container-registry';
import { withRunDefaults } from '../core/daemon-defaults';
import { removeStopped } from './remove';
import { isActive, type RunFacts, type SocketTargets } from '../core/container-state';
import { disksOf } from '../vms/pod-plan';
import type { Engine } from '../engine';
import { logStartError } from '../logs/log-config';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import { generalFailureCode, startFailure } from '../core/runtime-errors';
import { apiSocketPath } from '../mounts/socket-source';
import { fillFromUnstarted, fillingTimeoutMs, ShareFilling } from '../mounts/share-filling';
import { ProcessStdio } from '../streams/stdio';
import { neverTimestamp, nowTimestamp } from '../../go/timestamp';

/** Throws Docker's refusals; NotModified when it runs already. */
export function requireStartable(container: Container): void {
  switch (container.state.kind) {
    case 'paused':
      throw new DaemonError('Conflict', 'cannot start a paused container, try unpause instead');
    case 'running':
    case 'restarting':
      throw new DaemonError('NotModified', `Container ${container.id} is already running`);
    case 'removing':
    case 'dead':
      throw new DaemonError('Conflict', 'container is marked for removal and cannot be started');
    case 'created':
    case 'exited':
      return;
  }
}

/** A start that a user asked for. Call it in the container's queue. */
export async function startContainer(
  engine: Engine,
  container: Container,
  findCheckpoint?: () => Promise<StoredCheckpoint>,
): Promise<void> {
  requireStartable(container);
  await requireBindSources(container.record.hostConfig, apiSocketPath(engine.config.hosts));
  engine.restarts.forget(container.id);
  await runContainer(engine, container, { restartCount: 0, manuallyStopped: false }, findCheckpoint);
}

/** Starts it from created, exited or restarting, and records these counters with the new state. In the container's queue. */
export async function runContainer(
  engine: Engine,
  container: Container,
  counters: Pick<ContainerRecord, 'restartCount' | 'manuallyStopped'>,
  findCheckpoint?: () => Promise<StoredCheckpoint>,
): Promise<void> {
  const startedAt = performance.now();
  await engine.pods.vacated(container.record.podId);
  await engine.fileHolders.release(container.id);
  const start = new ContainerStart(engine, container);
  try {
    await start.run(counters, await findCheckpoint?.());
    log.debug('container started', {
      containerId: container.id,
      startMs: Math.round(performance.now() - startedAt),
    });
  } catch (error) {
    const failure = startFailure(error);
    await start.undo();
    engine.registry.tryTransition(
      container,
      { kind: 'startFailed', exitCode: failedExitCode(container, failure), error: failure.error.message },
      { networks: networksWith(container.record, []), publishedPorts: [] },
    );
    engine.waits.exited(container);
    if (container.record.hostConfig.AutoRemove) {
      await removeStopped(engine, container).catch((removeError: unknown) =>
        log.error('container could not be removed after a failed start', {
          containerId: container.id,
          error: removeError,
        }),
      );
    }
    throw failure.error;
  }
}

/** dockerd keeps the code of an earlier end where it knows no better one. */
function failedExitCode({ state }: Container, failure: { exitCode: number }): number {
  if (failure.exitCode !== generalFailureCode || isActive(state) || state.exitCode === 0) {
    return failure.exitCode;
  }
  return state.exitCode;
}

interface Entered {
  joining: Joining | undefined;
  running: { pod: RunningPod; luns: ReadonlyMap<string, number>; ready: Promise<void> };
}

/** What a checkpoint gives a start. */
interface TakenUp {
  vm: SavedVm;
  source: RestoreSource;
  shares: RestoredShares;
}

/** One attempt and what it has taken so far. */
class ContainerStart {
  readonly #engine: Engine;
  readonly #container: Container;
  #endpoints: Promise<AttachedEndpoint[]> | undefined;
  #writer: Promise<ContainerLogWriter> | undefined;
  #pod: RunningPod | undefined;
  #stdio: ProcessStdio | undefined;
  #publishing: Promise<unknown> | undefined;
  #filling: ShareFilling | undefined;
  #restoredDisk: RestoredDisk | undefined;

  constructor(engine: Engine, container: Container) {
    this.#engine = engine;
    this.#container = container;
  }

  async run(
    counters: Pick<ContainerRecord, 'restartCount' | 'manuallyStopped'>,
    checkpoint: StoredCheckpoint | undefined,
  ): Promise<void> {
    const engine = this.#engine;
    const { record: own } = this.#container;
    const hostConfig = withRunDefaults(own.hostConfig, engine.config.containerDefaults);
    const record: ContainerRecord = { ...own, hostConfig };
    await fillFromUnstarted(engine, this.#container);
    const namedPod = namedPodOf(record);
    const pod = podOf(engine, own);
    const spec = onlyContainer(pod);
    await requireBlockDevices(record.hostConfig);
    const runId = randomBytes(6).toString('hex');
    const disks = await disksOf(engine, record);
    const saved = checkpoint === undefined ? undefined : await this.#takeUp(record, pod, disks, checkpoint);
    this.#writer = this.#openLog(record, runId, checkpoint?.record.logged);
    // Each is awaited below; a failure of one before that must not count as unhandled.
    this.#writer.catch(() => undefined);

    const { joining, running } =
      namedPod === undefined
        ? await this.#enter(record, pod, disks, saved)
        : await engine.podGates.of(pod.id).run(() => this.#enterNamed(record, pod, disks));
    this.#pod = running.pod;
    const { agent } = running.pod.vm;
    const attached = (await this.#endpoints) ?? [];
    const publishing = publishPorts(engine, record, this.#reachedAt(joining, attached));
    publishing.catch(() => undefined);
    this.#publishing = publishing;
    const shared = await this.#share(running.pod, record, saved?.shares);
    const writer = await this.#writer;
    const channels =
      checkpoint === undefined ? allocateChannels(agent, spec) : savedChannels(agent, checkpoint);
    // Before the request that names the channels: output may come at once.
    this.#stdio = new ProcessStdio(agent, channels, engine.hubs.of(record.id), writer);
    running.pod.containers.set(record.id, { stdio: this.#stdio, writer });
    const files = this.#files(joining, attached);
    const request = (): { container: GuestContainerSpec } => ({
      container: guestContainer(
        {
          ...spec,
          mounts: mergeMounts(spec.mounts, shared.filling.mounts),
          // Those of the Pod's namespaces, which others have made.
          sysctls: joining === undefined ? spec.sysctls : { ...pod.sysctls, ...spec.sysctls },
        },
        {
          rootfs: guestRootfs(running.luns, disks),
          files,
          channels,
          ownNetwork: joining !== undefined && joining.networkOf === undefined,
          ...this.#consoleSize(record),
        },
      ),
    });
    const started =
      checkpoint === undefined
        ? shared.filling.during(
            running.pod.vm,
            agent.request(
              'container.start',
              request(),
              shared.filling.fills ? { timeoutMs: fillingTimeoutMs } : {},
            ),
          )
        : running.ready.then(() => resumeSaved(agent, checkpoint, { id: record.id, spec, files }));
    const [{ pid }, ports] = await Promise.all([
      // A Pod that could not be made is the reason to tell, not the container that misses it.
      started.catch(async (error: unknown) => {
        await running.ready;
        throw error;
      }),
      publishing,
      running.ready,
    ]);
    this.#stdio.openInput();
    const run: RunFacts = {
      vmId: running.pod.vm.id,
      pid,
      runId,
      channels,
      startedAt: nowTimestamp(),
      finishedAt: this.#container.state.finishedAt,
      oomKilled: false,
      ...(Object.keys(shared.sockets).length === 0 ? {} : { sockets: shared.sockets }),
      ...(saved === undefined ? {} : { shareNames: saved.shares.names }),
    };
    engine.registry.transition(
      this.#container,
      { kind: 'start', run },
      {
        ...counters,
        podId: running.pod.id,
        ...this.#namesOf(joining),
        networks: networksWith(record, attached),
        publishedPorts: ports,
      },
    );
    await this.#restoredDisk?.keep();
    await this.#applyLateSize(agent);
    await renewLinkingHosts(engine, record.id);
    // Only now: it takes the CPUs that the start needed.
    void running.pod.handOver?.takeOut(running.pod);
    publishNetworkEvents(engine, record, attached, 'connect');
    publishVolumeEvents(engine.events, record, 'mount');
    engine.events.publish('container', 'start', record.id, eventAttributes(this.#container.record));
  }

  /** A VM of its own, or that of the containers whose namespaces it wants. */
  async #enter(
    record: ContainerRecord,
    pod: PodSpec,
    disks: ContainerDisks,
    saved: TakenUp | undefined,
  ): Promise<Entered> {
    const engine = this.#engine;
    const joining = placeContainer(engine, record);
    // What it joins has its endpoints already.
    this.#endpoints = joining === undefined ? allocateEndpoints(engine, record) : Promise.resolve([]);
    this.#endpoints.catch(() => undefined);
    const options = saved === undefined ? {} : { saved };
    const running =
      joining === undefined
        ? await engine.pods.run(pod, [disks], this.#endpoints, dnsForwarders, options)
        : { pod: joining.pod, luns: await engine.pods.join(joining.pod, disks), ready: Promise.resolve() };
    return { joining, running };
  }

  /** Throws what speaks against this checkpoint before anything of the container is touched; then takes its disk. */
  async #takeUp(
    record: ContainerRecord,
    pod: PodSpec,
    disks: ContainerDisks,
    checkpoint: StoredCheckpoint,
  ): Promise<TakenUp> {
    requireFitting(this.#engine, this.#container.record, pod, checkpoint);
    const shares = await restoredShares(this.#engine, record, checkpoint);
    const source = restoreSource(checkpoint, disks, shares.shares);
    const disk = new RestoredDisk(this.#engine.disks.path(record.id));
    this.#restoredDisk = disk;
    await disk.replace(checkpoint);
    return { vm: checkpoint.record.vm, source, shares };
  }

  /** The VM of its named Pod, and a share in that one's endpoints. In the Pod's gate. */
  async #enterNamed(record: ContainerRecord, pod: PodSpec, disks: ContainerDisks): Promise<Entered> {
    const engine = this.#engine;
    // The Pod's endpoints are given back with its end.
    await engine.pods.settled(pod.id);
    const existing = engine.pods.find(pod.id);
    if (existing !== undefined) {
      const luns = await engine.pods.join(existing, disks);
      this.#pod = existing;
      this.#endpoints = extendEndpoints(engine, existing, record);
      await this.#endpoints;
      return { joining: undefined, running: { pod: existing, luns, ready: existing.ready } };
    }
    const endpoints = allocateEndpoints(engine, record, (network) =>
      podEndpointRequest(engine, record, network),
    );
    this.#endpoints = endpoints;
    try {
      const running = await engine.pods.run(pod, [disks], endpoints, dnsForwarders, { ownsEndpoints: true });
      return { joining: undefined, running };
    } catch (error) {
      await releaseEndpoints(engine, pod.id, await endpoints.catch(() => []));
      throw error;
    }
  }

  /** Gives everything back. Never throws. */
  async undo(): Promise<void> {
    const engine = this.#engine;
    const { record } = this.#container;
    this.#stdio?.abandon();
    engine.hubs.of(record.id).endRun();
    if (this.#pod !== undefined) await engine.pods.abandon(this.#pod, record.id);
    await this.#filling
      ?.abandon()
      .catch((error: unknown) => log.warn('volume could not be emptied', { containerId: record.id, error }));
    await this.#restoredDisk
      ?.undo()
      .catch((error: unknown) =>
        log.error('disk is that of a checkpoint', { containerId: record.id, error }),
      );
    await this.#publishing?.catch(() => undefined);
    if (this.#publishing !== undefined) {
      await engine.networks
        .unpublish(record.id)
        .catch((error: unknown) => log.warn('ports could not be freed', { containerId: record.id, error }));
    }
    const attached = await this.#endpoints?.catch(() => []);
    if (attached !== undefined) {
      // Docker tells of both, as it connects before it makes the process.
      publishNetworkEvents(engine, record, attached, 'connect');
      publishNetworkEvents(engine, record, attached, 'disconnect');
      await releaseEndpoints(engine, record.id, attached);
    }
    const writer = await this.#writer?.catch(() => undefined);
    await writer
      ?.close()
      .catch((error: unknown) => log.warn('log could not be closed', { containerId: record.id, error }));
  }

  /** Its own endpoints, or those of the container whose network it shares. */
  #reachedAt(joining: Joining | undefined, own: readonly AttachedEndpoint[]): readonly AttachedEndpoint[] {
    if (joining === undefined) return own;
    const { networkOf } = joining;
    if (networkOf === undefined) return [];
    return recordedEndpoints(networkOwner(this.#engine.registry, networkOf).record);
  }

  #files(joining: Joining | undefined, attached: readonly AttachedEndpoint[]): GuestFile[] {
    const { record: own } = this.#container;
    const files = networkFiles(this.#engine, withPodHostname(own), attached);
    return joining?.networkOf === undefined ? files : filesOf(files, joining.networkOf.record);
  }

  /** As dockerd records it: a container that shares another's network has its name there too. */
  #namesOf(joining: Joining | undefined): Partial<Pick<ContainerRecord, 'config'>> {
    const { record } = this.#container;
    if (joining?.networkOf === undefined || donorOf(record.hostConfig.NetworkMode) === undefined) return {};
    const { Hostname, Domainname } = joining.networkOf.record.config;
    return { config: { ...record.config, Hostname, Domainname } };
  }

  /** Lets the VM's file server serve the container's binds and volumes. Of a saved VM it does, and all is mounted. */
  async #share(
    pod: RunningPod,
    record: ContainerRecord,
    restored: PreparedShares | undefined,
  ): Promise<{ filling: ShareFilling; sockets: SocketTargets }> {
    const engine = this.#engine;
    const prepared =
      restored ?? (await prepareShares(engine.volumes, record, apiSocketPath(engine.config.hosts)));
    // What was emptied since its first start stays empty, as with dockerd.
    if (record.state.startedAt !== neverTimestamp) fillNothing(prepared);
    const filling = (this.#filling = await ShareFilling.begin(engine, prepared));
    engine.sockets.allow(record.id, prepared.socketTargets);
    if (restored !== undefined) return { filling, sockets: prepared.socketTargets };
    if (filling.shares.length > 0) await pod.vm.shareFiles(filling.shares);
    await Promise.all(prepared.sockets.map((socket) => pod.vm.agent.request('tunnel.listen', { ...socket })));
    return { filling, sockets: prepared.socketTargets };
  }

  async #openLog(record: ContainerRecord, runId: string, first?: LogOffsets): Promise<ContainerLogWriter> {
    try {
      return await this.#engine.logs.openLog(record, runId, first);
    } catch (error) {
      throw new DaemonError('Internal', logStartError(errorMessage(error)), { cause: error });
    }
  }

  /** A size that a client asked for while the guest was at it. */
  async #applyLateSize(agent: Agent): Promise<void> {
    const { id } = this.#container;
    const size = this.#engine.consoleSizes.get(id);
    if (size === undefined) return;
    this.#engine.consoleSizes.delete(id);
    await agent
      .request('process.resize', { id, ...size })
      .catch((error: unknown) => log.debug('terminal could not be resized', { containerId: id, error }));
  }

  #consoleSize(record: ContainerRecord): { consoleSize?: { rows: number; columns: number } } {
    if (!record.config.Tty) return {};
    const [rows, columns] = record.hostConfig.ConsoleSize;
    const asked = this.#engine.consoleSizes.get(record.id);
    this.#engine.consoleSizes.delete(record.id);
    if (asked !== undefined) return { consoleSize: asked };
    return rows > 0 && columns > 0 ? { consoleSize: { rows, columns } } : {};
  }
}

function onlyContainer(pod: PodSpec): PodContainerSpec {
  const [container] = pod.containers;
  if (container === undefined) throw new RangeError(`Pod ${pod.id} has no container`);
  return container;
}

function allocateChannels(agent: Agent, spec: PodContainerSpec): RunFacts['channels'] {
  const { openStdin, terminal } = spec.process;
  return {
    ...(openStdin ? { stdin: agent.allocateChannel() } : {}),
    stdout: agent.allocateChannel(),
    ...(terminal ? {} : { stderr: agent.allocateChannel() }),
  };
}
