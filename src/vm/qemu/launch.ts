// Starts a QEMU process through native/vm-launch: in the private network namespace, as a user of its own.

import { spawn } from 'node:child_process';
import { chown, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError } from '../../errors';
import { findProcess, type HostProcess } from '../host-process';
import type { VmNic } from '../vm';
import { qemuArguments, type MachineSpec, type MemoryBacking } from './command-line';

export interface LaunchSettings {
  qemuBinary: string;
  /** Directory of vm-launch. */
  nativeDir: string;
  /** Directory that holds one directory for each VM. */
  vmsDir: string;
  /** Undefined: the host's own namespace, and NICs that lead nowhere. */
  namespacePath: string | undefined;
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

/** Inherited descriptor of the template's saved state. */
export const stateDescriptor = 9;
const firstTapDescriptor = 10;

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

/** Makes the VM's run directory and starts QEMU in it. Rejects with Internal when QEMU can't be started. */
export async function launchVm(
  settings: LaunchSettings,
  vm: { id: string; slot: number; machine: MachineSpec; memory: MemoryBacking; statePath?: string },
): Promise<LaunchedVm> {
  const runDir = vmRunDir(settings, vm.id);
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  const options: string[] = [];
  if (settings.uidBase !== undefined) {
    const uid = vmUid(settings.uidBase, vm.slot);
    const gid = vmGid(settings.uidBase);
    await chown(runDir, uid, gid);
    options.push('--user', `${uid}:${gid}:${vm.machine.accelerator === 'kvm' ? await kvmGroup(gid) : gid}`);
  }
  const indexes = Array.from({ length: vm.machine.nicCount }, (_, index) => index);
  const nics =
    settings.namespacePath === undefined
      ? []
      : indexes.map((index) => ({ index, tapName: tapName(vm.slot, index) }));
  const taps = nics.flatMap((nic) => ['--tap', `${firstTapDescriptor + nic.index}:${nic.tapName}`]);
  // Order matters: the taps are made in the namespace that was entered before.
  const launcherOptions = [
    ...(settings.namespacePath === undefined ? [] : ['--netns', settings.namespacePath]),
    ...taps,
    ...(vm.statePath === undefined ? [] : ['--open', `${stateDescriptor}:${vm.statePath}`]),
    ...options,
    '--log',
    join(runDir, 'qemu.log'),
  ];
  const args = qemuArguments(vm.machine, {
    runDir,
    memory: vm.memory,
    tapDescriptors: nics.map((nic) => firstTapDescriptor + nic.index),
  });
  const child = spawn(
    join(settings.nativeDir, 'vm-launch'),
    [...launcherOptions, '--', settings.qemuBinary, ...args],
    {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`start ${settings.nativeDir}/vm-launch: ${error.message}`));
    child.once('exit', (code, signal) => {
      void readFile(join(runDir, 'qemu.log'), 'utf8')
        .catch(() => '')
        .then((text) =>
          resolve(`QEMU ended with ${signal ?? String(code)}: ${(complaint + text).trim().slice(-2000)}`),
        );
    });
  });
  const found = child.pid === undefined ? undefined : await findProcess(child.pid);
  if (found === undefined) throw new DaemonError('Internal', await exited);
  child.unref();
  return { id: vm.id, slot: vm.slot, runDir, process: found, nics, exited };
}

/** The group that may use /dev/kvm, where it is not open to everybody. */
async function kvmGroup(otherwise: number): Promise<number> {
  const { gid } = await stat('/dev/kvm').catch(() => ({ gid: 0 }));
  return gid === 0 ? otherwise : gid;
}
