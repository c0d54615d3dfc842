// Programs that run those of other processors: QEMU's user-mode emulators, static, from the host's package qemu-user-static.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Emulator } from '../../vm/contract/protocol';
import type { Config } from '../../config';

/** In OCI's names: the emulator's, and e_machine of ELF files. */
const emulated: Readonly<Record<string, Omit<Emulator, 'hostPath'>>> = {
  arm64: { name: 'qemu-aarch64', machine: 183, bits: 64, bigEndian: false },
  arm: { name: 'qemu-arm', machine: 40, bits: 32, bigEndian: false },
  riscv64: { name: 'qemu-riscv64', machine: 243, bits: 64, bigEndian: false },
  ppc64le: { name: 'qemu-ppc64le', machine: 21, bits: 64, bigEndian: false },
  s390x: { name: 'qemu-s390x', machine: 22, bits: 64, bigEndian: true },
  loong64: { name: 'qemu-loongarch64', machine: 258, bits: 64, bigEndian: false },
  mips64le: { name: 'qemu-mips64el', machine: 8, bits: 64, bigEndian: false },
};

export type EmulatorConfig = Pick<Config, 'emulatorDir'>;

/** Undefined for what runs without one, and for what none is installed for. Looked for each time: it may come and go. */
export function findEmulator({ emulatorDir }: EmulatorConfig, architecture: string): Emulator | undefined {
  const found = Object.hasOwn(emulated, architecture) ? emulated[architecture] : undefined;
  if (found === undefined) return undefined;
  const hostPath = join(emulatorDir, `${found.name}-static`);
  return existsSync(hostPath) ? { ...found, hostPath } : undefined;
}

/** Architectures that emulators are installed for. */
export function emulatedArchitectures(config: EmulatorConfig): string[] {
  return Object.keys(emulated).filter((architecture) => findEmulator(config, architecture) !== undefined);
}

/** Why nothing of that architecture runs. */
export function missingEmulator(platform: string): string {
  return `${platform} does not run here: VMs have this host's processor, and there is no emulator of that one on the host (Debian's package qemu-user-static)`;
}
