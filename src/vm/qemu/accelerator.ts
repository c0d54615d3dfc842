// KVM or emulation? /dev/kvm may be there and not work, so the only proof is a guest that boots under it.

import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AcceleratorChoice } from '../../config';
import { errorMessage } from '../../errors';
import { bootGuest, discardGuest } from './boot';
import type { MachineSpec } from './command-line';
import type { LaunchSettings } from './launch';

export interface Accelerator {
  kind: 'kvm' | 'tcg';
  /** For people: why it is this one. */
  reason: string;
  /** Host TSC, for guests under emulation; the same for a whole boot of the host. Undefined where it is unknown. */
  tscKhz: number | undefined;
}

interface Remembered extends Accelerator {
  /** What the answer holds for. */
  bootId: string;
  qemu: string;
  choice: AcceleratorChoice;
}

/** A guest under working KVM answers in well under a second. */
const probeTimeoutMs = 5000;

export interface AcceleratorProbe {
  choice: AcceleratorChoice;
  dataRoot: string;
  settings: LaunchSettings;
  /** Kernel and initramfs to boot. */
  guest: { kernelPath: string; initramfsPath: string };
  /** A slot for the probe's VM. */
  slot: number;
}

/** Answers from the file of this boot of the host, else finds out (a few seconds at most) and remembers. Never throws. */
export async function findAccelerator(probe: AcceleratorProbe): Promise<Accelerator> {
  const path = join(probe.dataRoot, 'accelerator.json');
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const qemu = await qemuIdentity(probe.settings.qemuBinary);
  const known = await readRemembered(path);
  if (known?.bootId === bootId && known.qemu === qemu && known.choice === probe.choice) {
    return known;
  }
  const answer: Accelerator = { ...(await decide(probe)), tscKhz: await hostTscKhz() };
  const remembered: Remembered = { ...answer, bootId, qemu, choice: probe.choice };
  await writeFile(path, JSON.stringify(remembered));
  return answer;
}

async function decide(probe: AcceleratorProbe): Promise<{ kind: 'kvm' | 'tcg'; reason: string }> {
  if (probe.choice !== 'auto') return { kind: probe.choice, reason: `chosen by --accel=${probe.choice}` };
  try {
    await stat('/dev/kvm');
  } catch {
    return { kind: 'tcg', reason: 'there is no /dev/kvm: virtual machines are emulated' };
  }
  const machine: MachineSpec = {
    accelerator: 'kvm',
    memoryBytes: 256 * 1024 * 1024,
    cpus: 1,
    ...probe.guest,
    tscKhz: undefined,
    nicCount: 0,
  };
  // As the same user that VMs run as: a KVM that only root may use is of no use.
  const settings: LaunchSettings = { ...probe.settings, namespacePath: undefined };
  try {
    const guest = await bootGuest(settings, {
      id: 'kvm-probe',
      slot: probe.slot,
      machine,
      memory: { kind: 'private' },
      timeoutMs: probeTimeoutMs,
    });
    await discardGuest(guest);
    return { kind: 'kvm', reason: 'a guest booted under KVM' };
  } catch (error) {
    return { kind: 'tcg', reason: `/dev/kvm is there, but no guest boots under it (${errorMessage(error)})` };
  }
}

async function qemuIdentity(binary: string): Promise<string> {
  const { size, mtimeMs } = await stat(binary);
  return `${binary}:${size}:${mtimeMs}`;
}

async function readRemembered(path: string): Promise<Remembered | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Remembered;
  } catch {
    return undefined;
  }
}

/** QEMU's emulated TSC is the host's own; its rate as the host's kernel found it. */
async function hostTscKhz(): Promise<number | undefined> {
  const text = await readFile('/proc/cpuinfo', 'utf8');
  const mhz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(text)?.[1];
  return mhz === undefined ? undefined : Math.round(Number(mhz) * 1000);
}
