// KVM or emulation? /dev/kvm may be there and not work, so the only proof is a guest that boots under it.

import { execFile } from 'node:child_process';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { AcceleratorChoice } from '../../config';
import { errorMessage } from '../../errors';
import { runTool } from '../../host/run-tool';
import { log } from '../../log';
import { bootGuest, discardGuest } from './boot';
import type { MachineSpec } from './command-line';
import type { LaunchSettings } from './launch';

export interface Accelerator {
  kind: 'kvm' | 'tcg';
  /** For people: why it is this one, in a short line. */
  reason: string;
  /** What QEMU said. */
  detail?: string;
  /** Host TSC, for guests under emulation; the same for a whole boot of the host. Undefined where it is unknown. */
  tscKhz: number | undefined;
  /** Guests start by them; undefined in what earlier versions have remembered. */
  optionRoms?: boolean;
}

interface Remembered extends Accelerator {
  /** What the answer holds for. */
  bootId: string;
  qemu: string;
  choice: AcceleratorChoice;
  /** Root may use a KVM that the VMs' own users may not. */
  unprivileged: boolean;
}

interface KernelFiles {
  kernelPath: string;
  initramfsPath: string;
}

/** A rate measured anew differs a little from the last one; templates are made for one of them. */
const tscTolerance = 20e-6;
/** A guest under working KVM answers in well under a second. */
const probeTimeoutMs = 5000;

export interface AcceleratorProbe {
  choice: AcceleratorChoice;
  dataRoot: string;
  settings: LaunchSettings;
  /** Kernel and initramfs to boot, or what puts them in place if they are needed. */
  guest: KernelFiles | (() => Promise<KernelFiles>);
  /** A slot for the probe's VM. */
  slot: number;
}

/** Answers from the file of this boot of the host, else finds out (a few seconds at most) and remembers. Never throws. */
export async function findAccelerator(probe: AcceleratorProbe): Promise<Accelerator> {
  const path = join(probe.dataRoot, 'accelerator.json');
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const qemu = await qemuIdentity(probe.settings.qemuBinary);
  const known = await readRemembered(path);
  const { choice } = probe;
  const unprivileged = probe.settings.uidBase !== undefined;
  const isSame =
    known?.bootId === bootId &&
    known.qemu === qemu &&
    known.choice === choice &&
    known.optionRoms !== undefined &&
    known.unprivileged === unprivileged;
  if (isSame) return known;
  const tscKhz = nearly(await hostTscKhz(probe.settings.nativeDir), known?.tscKhz);
  const optionRoms = needsOptionRoms(await runTool(probe.settings.qemuBinary, ['--version']).catch(() => ''));
  const answer: Accelerator = { ...(await decide(probe, optionRoms)), tscKhz, optionRoms };
  const remembered: Remembered = { ...answer, bootId, qemu, choice, unprivileged };
  try {
    await writeFile(`${path}.new`, JSON.stringify(remembered));
    await rename(`${path}.new`, path);
  } catch (error) {
    log.warn('the accelerator could not be remembered', { error: errorMessage(error) });
  }
  return answer;
}

/** The rate of an earlier boot of the host if it is the same: its template is then of use still. */
function nearly(measured: number | undefined, earlier: number | undefined): number | undefined {
  if (measured === undefined || earlier === undefined) return measured;
  return Math.abs(measured - earlier) <= measured * tscTolerance ? earlier : measured;
}

/**
 * Of what `qemu-system-x86_64 --version` says. Debian 12's qboot (of 7.2) starts guests under 7.2 and 10.0, Debian 13's (of 10.0) only those
 * without ACPI: the kernels of others never say a word. What lies between was not tried.
 */
export function needsOptionRoms(said: string): boolean {
  return Number(/version (\d+)/.exec(said)?.[1] ?? 0) >= 8;
}

async function decide(
  probe: AcceleratorProbe,
  optionRoms: boolean,
): Promise<Omit<Accelerator, 'tscKhz' | 'optionRoms'>> {
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
    ...(typeof probe.guest === 'function' ? await probe.guest() : probe.guest),
    tscKhz: undefined,
    nicCount: 0,
    randomAddresses: true,
    optionRoms,
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
    return {
      kind: 'tcg',
      reason: 'no guest boots under /dev/kvm (caisson doctor says more)',
      detail: oneLine(errorMessage(error)),
    };
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
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

/** QEMU's emulated TSC is the host's own. Without the helper, the clock that the host's kernel tells of. */
async function hostTscKhz(nativeDir: string): Promise<number | undefined> {
  try {
    const { stdout } = await promisify(execFile)(join(nativeDir, 'tsc-rate'), { env: {} });
    return Number.parseInt(stdout, 10);
  } catch {
    const text = await readFile('/proc/cpuinfo', 'utf8');
    const mhz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(text)?.[1];
    return mhz === undefined ? undefined : Math.round(Number(mhz) * 1000);
  }
}
