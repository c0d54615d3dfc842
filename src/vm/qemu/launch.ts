// Starts a QEMU process through native/vm-launch: in the private network namespace, as a user of its own.

import { spawn } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
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

/**
 * Makes the VM's run directory and starts QEMU. The directory and the sockets in it are the daemon's: QEMU, which a
 * guest may have taken over, can pass through but change nothing there. Rejects with Internal when QEMU can't be started.
 */
export async function launchVm(
  settings: LaunchSettings,
  vm: { id: string; slot: number; machine: MachineSpec; memory: MemoryBacking; statePath?: string },
): Promise<LaunchedVm> {
  const runDir = vmRunDir(settings, vm.id);
  await settings.beforeLaunch?.();
  await makePassableDirectory(runDir, settings.uidBase === undefined ? undefined : vmGid(settings.uidBase));
  const indexes = Array.from({ length: vm.machine.nicCount }, (_, index) => index);
  const nics =
    settings.namespacePath === undefined
      ? []
      : indexes.map((index) => ({ index, tapName: tapName(vm.slot, index) }));
  await makeBulkFile(join(runDir, bulkFileName));
  const args = qemuArguments(vm.machine, {
    id: vm.id,
    memory: vm.memory,
    tapDescriptors: nics.map((nic) => firstTapDescriptor + nic.index),
  });
  const child = spawn(
    join(settings.nativeDir, 'vm-launch'),
    [...(await launcherOptions(settings, vm, runDir, nics)), '--', settings.qemuBinary, ...args],
    { detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: helperEnvironment() },
  );
  // A pipe and no file: a guest may have QEMU complain without end. It goes on without a reader (EPIPE).
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-complaintBytes);
  });
  child.stderr.on('error', () => undefined);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`start ${settings.nativeDir}/vm-launch: ${error.message}`));
    // `close` follows the last byte of stderr.
    child.once('close', (code, signal) => {
      resolve(`QEMU ended with ${signal ?? String(code)}: ${complaint.trim()}`);
    });
  });
  const found = child.pid === undefined ? undefined : await findProcess(child.pid);
  if (found === undefined) throw new DaemonError('Internal', await exited);
  child.unref();
  if (child.stderr instanceof Socket) child.stderr.unref();
  return { id: vm.id, slot: vm.slot, runDir, process: found, nics, exited };
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

/** Order matters: the taps are made in the namespace that was entered before. */
async function launcherOptions(
  settings: LaunchSettings,
  vm: { slot: number; machine: MachineSpec; memory: MemoryBacking; statePath?: string },
  runDir: string,
  nics: readonly VmNic[],
): Promise<string[]> {
  const options: string[] = [];
  if (settings.namespacePath !== undefined) options.push('--netns', settings.namespacePath);
  for (const nic of nics) options.push('--tap', `${firstTapDescriptor + nic.index}:${nic.tapName}`);
  options.push(
    ...['--socket', `${qmpDescriptor}:${join(runDir, qmpSocketName)}`],
    ...['--socket', `${agentDescriptor}:${join(runDir, agentSocketName)}`],
    ...['--socket', `${fuseDescriptor}:${join(runDir, fuseSocketName)}`],
    ...['--share', `${bulkDescriptor}:${join(runDir, bulkFileName)}`],
  );
  if (vm.statePath !== undefined) options.push('--open', `${stateDescriptor}:${vm.statePath}`);
  if (vm.memory.kind === 'clone') {
    options.push('--readonly', `${join(settings.nativeDir, 'readonly-memory.so')}:${vm.memory.path}`);
  }
  if (settings.uidBase !== undefined) {
    const gid = vmGid(settings.uidBase);
    const group = vm.machine.accelerator === 'kvm' ? await kvmGroup(gid) : gid;
    options.push('--user', `${vmUid(settings.uidBase, vm.slot)}:${gid}:${group}`);
  }
  return options;
}

/** The group that may use /dev/kvm, where it is not open to everybody. */
async function kvmGroup(otherwise: number): Promise<number> {
  const { gid } = await stat('/dev/kvm').catch(() => ({ gid: 0 }));
  return gid === 0 ? otherwise : gid;
}
