// Brings a VM up to a connected, identified agent: by booting, or by cloning a template. What fails is cleaned up.

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { within, type Clock } from '../../async/deadline';
import { processClock } from '../../async/process-clock';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import { AgentClient } from '../agent/agent-client';
import { killProcess } from '../host/host-process';
import {
  agentSocketName,
  consoleBytes,
  consoleChardev,
  qmpSocketName,
  stateDescriptor,
  type MachineSpec,
  type MemoryBacking,
} from './command-line';
import { forkVm, launchVm, type LaunchedVm, type LaunchSettings } from './launch';
import { QmpClient, type QmpCommand } from './qmp-client';

/** A running guest whose agent has said hello. */
export interface RunningGuest extends LaunchedVm {
  qmp: QmpClient;
  agent: AgentClient;
}

export interface GuestRequest {
  id: string;
  slot: number;
  machine: MachineSpec;
  signal?: AbortSignal;
}

const qmpTimeoutMs = 10_000;
const cloneTimeoutMs = 10_000;
/** All of a guest's memory is read. */
const restoreTimeoutMs = 120_000;
/** Milliseconds of the guest's own. */
const firstConnectionMs = 2500;
const entropyBytes = 64;

/** Boots with this memory. Rejects when the agent has not said hello after `timeoutMs`. */
export function bootGuest(
  settings: LaunchSettings,
  request: GuestRequest & { memory: MemoryBacking; timeoutMs: number },
): Promise<RunningGuest> {
  return bringUp(settings, request, { memory: request.memory }, (launched, { clock }) =>
    AgentClient.connect(join(launched.runDir, agentSocketName), {
      timeoutMs: request.timeoutMs,
      clock,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    }),
  );
}

/** Starts from a saved template: the same machine, with the template's memory copied on write. */
export function cloneGuest(
  settings: LaunchSettings,
  request: GuestRequest & {
    template: { memoryPath: string; statePath: string; kernelHeadPath: string };
    /** It can be forked. */
    isSeed?: boolean;
  },
): Promise<RunningGuest> {
  const { memoryPath, statePath, kernelHeadPath } = request.template;
  const { isSeed = false } = request;
  const backing = { memory: { kind: 'clone', path: memoryPath, kernelHeadPath }, statePath, isSeed } as const;
  return bringUp(settings, request, backing, async (launched, qmp) => {
    await loadState(qmp, { withMemory: false, timeoutMs: cloneTimeoutMs });
    return reconnectAgent(launched.runDir, cloneTimeoutMs, { signal: request.signal, clock: qmp.clock });
  });
}

/** Starts as a fork of a seed, which is stopped. */
export function forkGuest(
  settings: LaunchSettings,
  request: GuestRequest & { seedSocketPath: string },
): Promise<RunningGuest> {
  return bringUpLaunched(
    request,
    () => forkVm(settings, request),
    async (launched, qmp) => {
      await qmp.execute('cont');
      return reconnectAgent(launched.runDir, cloneTimeoutMs, { signal: request.signal, clock: qmp.clock });
    },
  );
}

/** Starts from a checkpoint: the same machine and disks, with memory of its own. */
export function restoreGuest(
  settings: LaunchSettings,
  request: GuestRequest & {
    statePath: string;
    kernelHeadPath: string;
    plug: readonly QmpCommand[];
    /** With QEMU there, and nothing of the guest. */
    beforeState: (runDir: string) => Promise<void>;
  },
): Promise<RunningGuest> {
  const { statePath, kernelHeadPath } = request;
  const backing = { memory: { kind: 'restored', kernelHeadPath }, statePath } as const;
  return bringUp(settings, request, backing, async (launched, qmp) => {
    await qmp.executeAll(request.plug);
    await request.beforeState(launched.runDir);
    await loadState(qmp, { withMemory: true, timeoutMs: restoreTimeoutMs });
    return reconnectAgent(launched.runDir, restoreTimeoutMs, { signal: request.signal, clock: qmp.clock });
  });
}

/** Has a QEMU that waits for a state take the one it was launched with, and lets the guest go on. */
async function loadState(qmp: QmpClient, options: { withMemory: boolean; timeoutMs: number }): Promise<void> {
  const arrived = migrationCompleted(qmp, options.timeoutMs);
  // Whatever rejects first is the reason; the other one must not be an unhandled rejection.
  arrived.catch(() => undefined);
  await qmp.executeAll([
    {
      execute: 'migrate-set-capabilities',
      arguments: {
        capabilities: [
          { capability: 'x-ignore-shared', state: !options.withMemory },
          { capability: 'events', state: true },
        ],
      },
    },
    { execute: 'migrate-incoming', arguments: { uri: `fd:${stateDescriptor}` } },
  ]);
  await arrived;
  await qmp.execute('cont');
}

/**
 * Gives a guest what clones would otherwise share: random state, clock and machine id. Nothing of a container may run
 * before it has answered.
 */
export async function identifyGuest(agent: AgentClient, machineId: string): Promise<void> {
  const now = Date.now();
  await agent.request(
    'identity',
    {
      entropyBase64: randomBytes(entropyBytes).toString('base64'),
      timeSeconds: Math.floor(now / 1000),
      timeNanoseconds: (now % 1000) * 1_000_000,
      machineId,
    },
    { timeoutMs: cloneTimeoutMs },
  );
}

/** Resolves when a migration (out or in) has completed; rejects when it failed. */
export async function migrationCompleted(qmp: QmpClient, timeoutMs: number): Promise<void> {
  let stop = (): void => undefined;
  const migrated = new Promise<void>((resolve, reject) => {
    stop = qmp.onEvent((event) => {
      const status = event.event === 'MIGRATION' ? event.data['status'] : undefined;
      if (status === 'completed') resolve();
      if (status === 'failed') {
        reject(new DaemonError('Internal', 'QEMU could not load or save the state of a VM'));
      }
    });
    void qmp.closed.then(() => reject(new DaemonError('Unavailable', 'QEMU ended during the migration')));
  });
  const overdue = (): Error =>
    new DaemonError('Unavailable', `QEMU has not finished the migration after ${timeoutMs} ms`);
  await within(migrated, timeoutMs, { overdue, clock: qmp.clock }).finally(stop);
}

/** Ends a guest that is no Vm yet, and removes its directory. */
export async function discardGuest(
  guest: LaunchedVm & { qmp?: QmpClient; agent?: AgentClient },
): Promise<void> {
  guest.agent?.disconnect();
  guest.qmp?.close();
  await killProcess(guest.process);
  await rm(guest.runDir, { recursive: true, force: true });
}

function bringUp(
  settings: LaunchSettings,
  request: GuestRequest,
  backing: { memory: MemoryBacking; statePath?: string; isSeed?: boolean },
  connectGuest: (launched: LaunchedVm, qmp: QmpClient) => Promise<AgentClient>,
): Promise<RunningGuest> {
  return bringUpLaunched(request, () => launchVm(settings, { ...request, ...backing }), connectGuest);
}

async function bringUpLaunched(
  request: GuestRequest,
  launch: () => Promise<LaunchedVm>,
  connectGuest: (launched: LaunchedVm, qmp: QmpClient) => Promise<AgentClient>,
): Promise<RunningGuest> {
  request.signal?.throwIfAborted();
  const launched = await launch();
  let qmp: QmpClient | undefined;
  const opening = new AbortController();
  try {
    const failed = launched.exited.then((text) => {
      opening.abort();
      throw new DaemonError('Internal', text);
    });
    failed.catch(() => undefined);
    qmp = await Promise.race([
      QmpClient.connect(join(launched.runDir, qmpSocketName), {
        timeoutMs: qmpTimeoutMs,
        clock: processClock(launched.process.pid),
        signal: AbortSignal.any([opening.signal, ...(request.signal === undefined ? [] : [request.signal])]),
      }),
      failed,
    ]);
    const agent = await unlessGuestEnds(qmp, Promise.race([connectGuest(launched, qmp), failed]));
    return { ...launched, qmp, agent };
  } catch (error) {
    opening.abort();
    if (qmp !== undefined) log.debug('guest console', { vmId: launched.id, text: await consoleTail(qmp) });
    await discardGuest({ ...launched, ...(qmp === undefined ? {} : { qmp }) });
    throw error instanceof DaemonError
      ? error
      : new DaemonError('Internal', `start a VM: ${errorMessage(error)}`, { cause: error });
  }
}

/** What `work` gives; rejects as soon as the guest panics or powers off, which QEMU outlives. */
async function unlessGuestEnds<T>(qmp: QmpClient, work: Promise<T>): Promise<T> {
  let stop = (): void => undefined;
  const ended = new Promise<never>((_, reject) => {
    stop = qmp.onEvent(({ event, data }) => {
      if (event !== 'SHUTDOWN') return;
      reject(new DaemonError('Internal', `the guest ended while it came up: ${String(data['reason'])}`));
    });
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    stop();
  }
}

/**
 * To an agent that is running. Rarely (one of some hundred clones, with no load to explain it) the guest does not notice
 * the first connection after the one that it was saved with, or that the last daemon had; the next one it does.
 */
export async function reconnectAgent(
  runDir: string,
  timeoutMs: number,
  { signal, clock }: { signal?: AbortSignal | undefined; clock?: Clock } = {},
): Promise<AgentClient> {
  const path = join(runDir, agentSocketName);
  const options = { ...(signal === undefined ? {} : { signal }), ...(clock === undefined ? {} : { clock }) };
  const firstMs = Math.min(firstConnectionMs, timeoutMs);
  try {
    return await AgentClient.connect(path, { ...options, timeoutMs: firstMs });
  } catch (error) {
    if (signal?.aborted === true || firstMs === timeoutMs) throw error;
    log.warn('the agent is asked once more', { path, error: errorMessage(error) });
    return AgentClient.connect(path, { ...options, timeoutMs: timeoutMs - firstMs });
  }
}

async function consoleTail(qmp: QmpClient): Promise<string> {
  try {
    return String(await qmp.execute('ringbuf-read', { device: consoleChardev, size: consoleBytes })).slice(
      -2000,
    );
  } catch {
    return '';
  }
}
