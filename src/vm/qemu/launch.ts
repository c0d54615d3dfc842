// Starts a QEMU process through native/vm-launch: in the private network namespace, as a user of its own.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { open, rm, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import { makePassableDirectory } from '../../host/directories';
import { helperEnvironment } from '../../host/helper-environment';
import { bulkDiskBytes, bulkFileName } from '../host/bulk-disk';
import { findProcess, type HostProcess } from '../host/host-process';
import type { VmNic } from '../contract/vm';
import {
  agentDescriptor,
  agentSocketName,
  bulkDescriptor,
  firstTapDescriptor,
  fuseDescriptor,
  fuseSocketName,
  qemuArguments,
  qmpDescriptor,
  qmpSocketName,
  seedDescriptor,
  seedSocketName,
  stateDescriptor,
  type MachineSpec,
  type MemoryBacking,
} from './command-line';

export interface LaunchSettings {
  qemuBinary: string;
  /** Directory of vm-launch. */
  nativeDir: string;
  /** Directory that holds one directory for each VM. */
  vmsDir: string;
  /** Undefined: the host's own namespace, and NICs that lead nowhere. */
  namespacePath: string | undefined;
  /** Mends what the launch needs of the run directory, should somebody have removed it. */
  beforeLaunch?: () => Promise<void>;
  /** Undefined without root: QEMU runs as the daemon's own user. */
  uidBase: number | undefined;
}

export interface LaunchedVm {
  id: string;
  slot: number;
  runDir: string;
  process: HostProcess;
  nics: VmNic[];
  /** Resolves with a text when QEMU ended before anything else told of it. */
  exited: Promise<string>;
}

/** Of what QEMU writes to stderr: the end tells why it ended. */
const complaintBytes = 4096;

/** All VMs have this group, which may read and write the template's memory; the uid is each VM's own. */
export function vmGid(uidBase: number): number {
  return uidBase;
}

export function vmUid(uidBase: number, slot: number): number {
  return uidBase + 1 + slot;
}

/** Interface names have 15 characters at most. */
export function tapName(slot: number, nic: number): string {
  return `cv${slot}n${nic}`;
}

export function vmRunDir(settings: LaunchSettings, id: string): string {
  return join(settings.vmsDir, id);
}

/** Where the VM is to run, and as whom. */
interface Place {
  id: string;
  slot: number;
  machine: MachineSpec;
}

/**
 * Makes the VM's run directory and starts QEMU. The directory and the sockets in it are the daemon's: QEMU, which a
 * guest may have taken over, can pass through but change nothing there. `isSeed`: a clone that can be forked. Rejects with Internal
 * when QEMU can't be started.
 */
export async function launchVm(
  settings: LaunchSettings,
  vm: Place & { memory: MemoryBacking; statePath?: string; isSeed?: boolean },
): Promise<LaunchedVm> {
  const { runDir, nics } = await makeRunDir(settings, vm);
  const args = qemuArguments(vm.machine, {
    id: vm.id,
    memory: vm.memory,
    tapDescriptors: nics.map((nic) => firstTapDescriptor + nic.index),
  });
  const options = [
    ...openOptions(settings, runDir, nics),
    ...launchOptions(settings, vm, runDir),
    ...(await userOptions(settings, vm)),
  ];
  const { child, exited } = start(settings, [...options, '--', settings.qemuBinary, ...args]);
  child.stdout.resume();
  const found = child.pid === undefined ? undefined : await findProcess(child.pid);
  if (found === undefined) return fail(runDir, exited);
  return { id: vm.id, slot: vm.slot, runDir, process: found, nics, exited };
}

/** As `launchVm`, of a seed: what listens at `seedSocketPath` forks itself. Rejects with Internal when it does not. */
export async function forkVm(
  settings: LaunchSettings,
  vm: Place & { seedSocketPath: string },
): Promise<LaunchedVm> {
  const { runDir, nics } = await makeRunDir(settings, vm);
  const options = [...openOptions(settings, runDir, nics), ...(await userOptions(settings, vm))];
  const { child, exited } = start(settings, [...options, '--', 'fork', vm.seedSocketPath, vm.id], true);
  const pid = Number(await firstLine(child.stdout));
  const found = pid > 0 ? await findProcess(pid) : undefined;
  if (found === undefined) return fail(runDir, exited);
  return { id: vm.id, slot: vm.slot, runDir, process: found, nics, exited };
}

async function fail(runDir: string, exited: Promise<string>): Promise<never> {
  const text = await exited;
  await rm(runDir, { recursive: true, force: true });
  throw new DaemonError('Internal', text);
}

async function makeRunDir(settings: LaunchSettings, vm: Place): Promise<{ runDir: string; nics: VmNic[] }> {
  const runDir = vmRunDir(settings, vm.id);
  await settings.beforeLaunch?.();
  await makePassableDirectory(runDir, settings.uidBase === undefined ? undefined : vmGid(settings.uidBase));
  const indexes = Array.from({ length: vm.machine.nicCount }, (_, index) => index);
  const nics =
    settings.namespacePath === undefined
      ? []
      : indexes.map((index) => ({ index, tapName: tapName(vm.slot, index) }));
  await makeBulkFile(join(runDir, bulkFileName));
  return { runDir, nics };
}

/** `exited` resolves when the launcher has ended, and whoever it has handed its stderr to: QEMU. */
function start(
  settings: LaunchSettings,
  args: readonly string[],
  isFork = false,
): { child: ChildProcessByStdio<null, Readable, Readable>; exited: Promise<string> } {
  const child = spawn(join(settings.nativeDir, 'vm-launch'), args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: helperEnvironment(),
  });
  // A pipe and no file: a guest may have QEMU complain without end. It goes on without a reader (EPIPE).
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-complaintBytes);
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('error', () => undefined);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`start ${settings.nativeDir}/vm-launch: ${error.message}`));
    const ended = (code: number | null, signal: string | null): void => {
      // Of a fork the launcher's own end tells nothing.
      const how = code === 0 && isFork ? 'ended' : `ended with ${signal ?? String(code)}`;
      resolve(`QEMU ${how}: ${complaint.trim()}`);
    };
    // `close` follows the last byte of stderr.
    child.once('close', ended);
    // A seed that does not answer has the launcher's stderr open for as long as it lives. What was written is read one round later.
    child.once('exit', (code, signal) => {
      if (isFork && code !== 0) setImmediate(() => setImmediate(ended, code, signal));
    });
  });
  child.unref();
  for (const stream of [child.stdout, child.stderr]) if (stream instanceof Socket) stream.unref();
  return { child, exited };
}

/** All of it is a hole, as long as nobody uses it. QEMU inherits it open and can't open it again: it stays ours. */
async function makeBulkFile(path: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.truncate(bulkDiskBytes);
  } finally {
    await file.close();
  }
}

/** What QEMU is handed. Order matters: the taps are made in the namespace that was entered before. */
function openOptions(settings: LaunchSettings, runDir: string, nics: readonly VmNic[]): string[] {
  const options: string[] = [];
  if (settings.namespacePath !== undefined) options.push('--netns', settings.namespacePath);
  for (const nic of nics) options.push('--tap', `${firstTapDescriptor + nic.index}:${nic.tapName}`);
  return [
    ...options,
    ...['--socket', `${qmpDescriptor}:${join(runDir, qmpSocketName)}`],
    ...['--socket', `${agentDescriptor}:${join(runDir, agentSocketName)}`],
    ...['--socket', `${fuseDescriptor}:${join(runDir, fuseSocketName)}`],
    ...['--share', `${bulkDescriptor}:${join(runDir, bulkFileName)}`],
  ];
}

function launchOptions(
  { nativeDir }: LaunchSettings,
  vm: Place & { memory: MemoryBacking; statePath?: string; isSeed?: boolean },
  runDir: string,
): string[] {
  const options: string[] = [];
  if (vm.statePath !== undefined) options.push('--open', `${stateDescriptor}:${vm.statePath}`);
  if (vm.isSeed === true) {
    options.push('--socket', `${seedDescriptor}:${join(runDir, seedSocketName)}`);
    // Before the other library: both have a say in what is told to the kernel of memory.
    options.push('--seed', `${join(nativeDir, 'forkable.so')}:${seedDescriptor}:${vm.id}`);
  }
  if (vm.memory.kind === 'clone') {
    options.push('--readonly', `${join(nativeDir, 'readonly-memory.so')}:${vm.memory.path}`);
  }
  // After the seed's: in a child the seed's library starts this one's thread as it does QEMU's.
  if (vm.machine.accelerator === 'tcg') options.push('--preload', join(nativeDir, 'stale-code.so'));
  return options;
}

async function userOptions({ uidBase }: LaunchSettings, vm: Place): Promise<string[]> {
  if (uidBase === undefined) return [];
  const gid = vmGid(uidBase);
  const group = vm.machine.accelerator === 'kvm' ? await kvmGroup(gid) : gid;
  return ['--user', `${vmUid(uidBase, vm.slot)}:${gid}:${group}`];
}

/** Empty when the stream ends before. */
async function firstLine(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0] ?? '';
}

/** The group that may use /dev/kvm, where it is not open to everybody. */
async function kvmGroup(otherwise: number): Promise<number> {
  const { gid } = await stat('/dev/kvm').catch(() => ({ gid: 0 }));
  return gid === 0 ? otherwise : gid;
}
