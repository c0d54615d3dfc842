// At the daemon's start: every record, VM, endpoint and disk is brought to the truth.

import { readdir, rm } from 'node:fs/promises';
import { errorMessage } from '../errors';
import { log } from '../log';
import type { AgentHello } from '../vm/agent/protocol';
import type { Vm } from '../vm/vm';
import { exitTransition } from './container-exit';
import { isContainerId } from './container-names';
import { publishPorts, recordedEndpoints, releaseEndpoints } from './container-network';
import type { Container } from './container-registry';
import { containerDirectory, removeStopped } from './container-remove';
import { runContainer } from './container-start';
import { isActive, type RunFacts } from './container-state';
import type { Engine } from './engine';
import type { RunningContainer } from './pods';
import { startsWithDaemon } from './restart-policy';
import { ProcessStdio, type StdioChannels } from './stdio';

/** What a container shows whose VM did not outlive the daemon. */
const lostExitCode = 137;
const shutdownTimeoutMs = 20_000;

/**
 * Run once, after the registry is loaded and the network is up. Resolves when every record is true; restarts that the
 * policies ask for go on in the background.
 */
export async function recoverContainers(engine: Engine, vms: readonly Vm[]): Promise<void> {
  const vmByPod = new Map<string, Vm>();
  for (const vm of vms) {
    if (vm.state.kind === 'Associated') vmByPod.set(vm.state.podId, vm);
  }
  const containers = engine.registry.list();
  const wasActive = new Set(containers.filter(({ state }) => isActive(state)).map(({ id }) => id));
  await Promise.all(
    containers.map((container) =>
      container.operations
        .run(() => recoverContainer(engine, container, vmByPod))
        .catch((error: unknown) => {
          log.error('container could not be recovered', { containerId: container.id, error });
        }),
    ),
  );
  // What is left in the map belongs to no record that runs.
  await Promise.all([...vmByPod.values()].map((vm) => endOrphan(vm)));
  await removeOrphanDisks(engine);
  releaseOrphanLayers(engine);
  await removeOrphanDirectories(engine);
  for (const container of engine.registry.list()) {
    if (wasActive.has(container.id) && isActive(container.state)) continue;
    startByPolicy(engine, container, wasActive.has(container.id));
  }
}

async function recoverContainer(
  engine: Engine,
  container: Container,
  vmByPod: Map<string, Vm>,
): Promise<void> {
  const { state } = container;
  const vm = vmByPod.get(container.record.podId);
  if (isActive(state)) {
    if (vm?.id === state.vmId && (await adopt(engine, container, vm, state))) {
      vmByPod.delete(container.record.podId);
      return;
    }
    log.warn('container did not outlive the daemon', { containerId: container.id });
    exitTransition(engine, container, state, {
      exitCode: lostExitCode,
      error: '',
      oomKilled: state.oomKilled,
    });
  } else {
    // A start or an exit that was cut short may have left an endpoint.
    const endpoints = engine.networks.endpointsOf(container.id);
    await releaseEndpoints(
      engine,
      container.id,
      endpoints.map((endpoint) => ({ endpoint })),
    );
  }
  const goes =
    container.state.kind === 'removing' ||
    (container.state.kind === 'exited' && container.record.hostConfig.AutoRemove);
  if (!goes) return;
  if (vm !== undefined) {
    vmByPod.delete(container.record.podId);
    await vm.end();
  }
  await removeStopped(engine, container);
}

/** Takes up the process where the last daemon left it. False: it isn't there any more, and the VM is to be ended. */
async function adopt(engine: Engine, container: Container, vm: Vm, run: RunFacts): Promise<boolean> {
  const { agent } = vm;
  const known = agent.hello.containers.find(({ id }) => id === container.id);
  if (known === undefined) return false;
  const writer = await engine.logs.openLog(container.record, run.runId);
  const channels = openChannels(agent.hello, run.channels);
  const stdio = new ProcessStdio(agent, channels, engine.hubs.of(container.id), writer);
  stdio.openInput();
  const containers = new Map<string, RunningContainer>([[container.id, { stdio, writer }]]);
  engine.pods.adopt(container.record.podId, vm, containers);
  if (container.state.kind === 'paused') await vm.pause();
  await republish(engine, container);
  log.info('container adopted', { containerId: container.id, vmId: vm.id, pid: run.pid });
  return true;
}

/** A channel that the guest has forgotten was read to its end by the last daemon. */
function openChannels(hello: AgentHello, channels: RunFacts['channels']): StdioChannels {
  const open = new Set(hello.channels.map(({ channel }) => channel));
  return Object.fromEntries(Object.entries(channels).filter(([, channel]) => open.has(channel)));
}

async function republish(engine: Engine, container: Container): Promise<void> {
  const { record } = container;
  if (record.publishedPorts.length === 0) return;
  try {
    await publishPorts(engine, record, recordedEndpoints(record), record.publishedPorts);
  } catch (error) {
    log.error('ports could not be published again', {
      containerId: container.id,
      reason: errorMessage(error),
    });
  }
}

/** Its Pod has no running record: a start that was cut short, an exit before its end, or a removed container. */
async function endOrphan(vm: Vm): Promise<void> {
  log.info('VM of no running container is ended', { vmId: vm.id });
  try {
    await vm.agent.request('shutdown', {}, { timeoutMs: shutdownTimeoutMs });
  } catch (error) {
    log.warn('guest did not shut down in order', { vmId: vm.id, error });
  }
  await vm.end().catch((error: unknown) => log.error('VM could not be ended', { vmId: vm.id, error }));
}

async function removeOrphanDisks(engine: Engine): Promise<void> {
  for (const id of await engine.disks.list()) {
    if (engine.registry.byId(id) !== undefined) continue;
    log.info('disk of no container is removed', { containerId: id });
    engine.layers.unreference(id);
    await engine.disks
      .remove(id)
      .catch((error: unknown) => log.error('disk could not be removed', { containerId: id, error }));
  }
}

/** A daemon that died between taking a container's layers and making its disk left these. */
function releaseOrphanLayers(engine: Engine): void {
  for (const owner of engine.layers.owners()) {
    if (!isContainerId(owner) || engine.registry.byId(owner) !== undefined) continue;
    log.info('layers of no container are released', { containerId: owner });
    engine.layers.unreference(owner);
  }
}

async function removeOrphanDirectories(engine: Engine): Promise<void> {
  const names = await readdir(containerDirectory(engine, '')).catch(() => []);
  for (const id of names) {
    if (engine.registry.byId(id) !== undefined) continue;
    await rm(containerDirectory(engine, id), { recursive: true, force: true }).catch((error: unknown) =>
      log.error('directory could not be removed', { containerId: id, error }),
    );
  }
}

function startByPolicy(engine: Engine, container: Container, wasActive: boolean): void {
  const { record, state } = container;
  if (state.kind === 'restarting') {
    engine.restarts.schedule(container.id, 0);
    return;
  }
  const starts =
    state.kind === 'exited' &&
    startsWithDaemon(record.hostConfig.RestartPolicy, { wasActive, manuallyStopped: record.manuallyStopped });
  if (!starts) return;
  const start = container.operations
    .run(async () => {
      if (container.state.kind !== 'exited') return;
      await runContainer(engine, container, {
        restartCount: record.restartCount,
        manuallyStopped: record.manuallyStopped,
      });
    })
    .catch((error: unknown) =>
      log.error('container could not be started', { containerId: container.id, error }),
    );
  engine.background.add(start);
}
