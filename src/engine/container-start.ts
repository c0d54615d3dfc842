// ContainerStart: an Idle VM becomes the container's. Steps run side by side where they can, and all of them are undone
// when one fails.

import { randomBytes } from 'node:crypto';
import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import { containerToPod } from '../translate/container-to-pod';
import type { PodContainerSpec, PodSpec } from '../translate/pod';
import { guestContainer } from '../translate/pod-to-guest';
import { guestRootfs, withoutRepeats, type ContainerDisks } from '../translate/pod-to-vm';
import type { Agent } from '../vm/agent/agent';
import type { GuestMount } from '../vm/agent/protocol';
import { requireBlockDevices } from './block-devices';
import type { ContainerLogWriter } from './container-log';
import {
  allocateEndpoints,
  dnsForwarders,
  networkFiles,
  networksWith,
  publishNetworkEvents,
  publishPorts,
  releaseEndpoints,
} from './container-network';
import { linkVariables } from './container-links';
import { renewLinkingHosts } from './container-connect';
import { mergeMounts, prepareShares, publishVolumeEvents } from './container-mounts';
import { eventAttributes, type ContainerRecord } from './container-record';
import type { Container } from './container-registry';
import { withRunDefaults } from './daemon-defaults';
import { removeStopped } from './container-remove';
import type { RunFacts } from './container-state';
import type { Engine } from './engine';
import { logStartError } from './logs/log-config';
import type { AttachedEndpoint, RunningPod } from './pods';
import { startFailure } from './runtime-errors';
import { ProcessStdio } from './stdio';
import { nowTimestamp } from './timestamp';

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
export async function startContainer(engine: Engine, container: Container): Promise<void> {
  requireStartable(container);
  engine.restarts.forget(container.id);
  await runContainer(engine, container, { restartCount: 0, manuallyStopped: false });
}

/** Starts it from created, exited or restarting, and records these counters with the new state. In the container's queue. */
export async function runContainer(
  engine: Engine,
  container: Container,
  counters: Pick<ContainerRecord, 'restartCount' | 'manuallyStopped'>,
): Promise<void> {
  const startedAt = performance.now();
  const start = new ContainerStart(engine, container);
  try {
    await start.run(counters);
    log.debug('container started', {
      containerId: container.id,
      startMs: Math.round(performance.now() - startedAt),
    });
  } catch (error) {
    const failure = startFailure(error);
    await start.undo();
    engine.registry.transition(
      container,
      { kind: 'startFailed', exitCode: failure.exitCode, error: failure.error.message },
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

/** One attempt and what it has taken so far. */
class ContainerStart {
  readonly #engine: Engine;
  readonly #container: Container;
  #endpoints: Promise<AttachedEndpoint[]> | undefined;
  #writer: Promise<ContainerLogWriter> | undefined;
  #pod: RunningPod | undefined;
  #stdio: ProcessStdio | undefined;
  #publishing: Promise<unknown> | undefined;

  constructor(engine: Engine, container: Container) {
    this.#engine = engine;
    this.#container = container;
  }

  async run(counters: Pick<ContainerRecord, 'restartCount' | 'manuallyStopped'>): Promise<void> {
    const engine = this.#engine;
    const { record: own } = this.#container;
    const hostConfig = withRunDefaults(own.hostConfig, engine.config.containerDefaults);
    const record: ContainerRecord = { ...own, hostConfig };
    const pod = containerToPod({
      ...record,
      args: [record.path, ...record.args],
      linkEnv: linkVariables(engine.registry, record),
    });
    const spec = onlyContainer(pod);
    await requireBlockDevices(record.hostConfig);
    const runId = randomBytes(6).toString('hex');
    const layers = withoutRepeats(record.layers);
    const bundlePath = await engine.layers.bundle(layers);
    const disks: ContainerDisks = {
      containerId: record.id,
      layerPaths: engine.layers.diskPaths(layers),
      ...(bundlePath === undefined ? {} : { bundlePath }),
      writablePath: engine.disks.path(record.id),
    };
    this.#endpoints = allocateEndpoints(engine, record);
    this.#writer = this.#openLog(record, runId);
    // Each is awaited below; a failure of one before that must not count as unhandled.
    this.#endpoints.catch(() => undefined);
    this.#writer.catch(() => undefined);

    const running = await engine.pods.run(pod, [disks], this.#endpoints, dnsForwarders);
    this.#pod = running.pod;
    const { agent } = running.pod.vm;
    const attached = await this.#endpoints;
    const publishing = publishPorts(engine, record, attached);
    publishing.catch(() => undefined);
    this.#publishing = publishing;
    const shared = await this.#share(running.pod, record);
    const writer = await this.#writer;
    const channels = allocateChannels(agent, spec);
    // Before the request that names the channels: output may come at once.
    this.#stdio = new ProcessStdio(agent, channels, engine.hubs.of(record.id), writer);
    running.pod.containers.set(record.id, { stdio: this.#stdio, writer });
    const started = agent.request('container.start', {
      container: guestContainer(
        { ...spec, mounts: mergeMounts(spec.mounts, shared) },
        {
          rootfs: guestRootfs(running.plan, running.luns, disks),
          files: networkFiles(engine, record, attached),
          channels,
          ...this.#consoleSize(record),
        },
      ),
    });
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
    };
    engine.registry.transition(
      this.#container,
      { kind: 'start', run },
      { ...counters, networks: networksWith(record, attached), publishedPorts: ports },
    );
    await this.#applyLateSize(agent);
    await renewLinkingHosts(engine, record.id);
    publishNetworkEvents(engine, record, attached, 'connect');
    publishVolumeEvents(engine.events, record, 'mount');
    engine.events.publish('container', 'start', record.id, eventAttributes(this.#container.record));
  }

  /** Gives everything back. Never throws. */
  async undo(): Promise<void> {
    const engine = this.#engine;
    const { record } = this.#container;
    this.#stdio?.abandon();
    engine.hubs.of(record.id).endRun();
    if (this.#pod !== undefined) await engine.pods.stop(this.#pod, { keepData: false });
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

  /** Lets the VM's file server serve the container's binds and volumes. */
  async #share(pod: RunningPod, record: ContainerRecord): Promise<GuestMount[]> {
    const { shares, mounts } = await prepareShares(this.#engine.volumes, record);
    if (shares.length > 0) await pod.vm.shareFiles(shares);
    return mounts;
  }

  async #openLog(record: ContainerRecord, runId: string): Promise<ContainerLogWriter> {
    try {
      return await this.#engine.logs.openLog(record, runId);
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
