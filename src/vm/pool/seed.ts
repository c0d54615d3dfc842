// The seed: a clone that has been through a container once, so that all code of a start is translated, and is stopped. VMs are
// made of it by forking its QEMU, which takes milliseconds, and share its pages (docs/adr/0022-forked-clones.md).

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { killProcess, type HostProcess } from '../host/host-process';
import { vmRecordName } from '../host/vm-record';
import { seedSocketName } from '../qemu/command-line';
import type { QemuVm } from '../qemu/qemu-vm';

/** Children have the seed's addresses: who has guessed them in one knows those of the others. So it is made anew. */
const mostChildren = 500;
const longestMs = 3_600_000;

export class Seed {
  readonly #process: HostProcess;
  readonly #runDir: string;
  readonly #ended: () => void;
  readonly #madeAt = Date.now();
  #children = 0;

  /** `ended`: what is to be done when it is gone. */
  constructor(process: HostProcess, runDir: string, ended: () => void) {
    this.#process = process;
    this.#runDir = runDir;
    this.#ended = ended;
  }

  /**
   * Makes one of a VM that has done what children shall find translated. Nobody is connected to it from now on; the next daemon
   * knows it for none of its VMs, and ends it. Rejects when QEMU is gone.
   */
  static async of(vm: QemuVm, ended: () => void): Promise<Seed> {
    const seed = new Seed(vm.process, vm.runDir, ended);
    try {
      await vm.freeze();
      await rm(join(vm.runDir, vmRecordName), { force: true });
    } catch (error) {
      await seed.end();
      throw error;
    }
    return seed;
  }

  get socketPath(): string {
    return join(this.#runDir, seedSocketName);
  }

  /** Another child is about to be made. */
  count(): void {
    this.#children += 1;
  }

  get isStale(): boolean {
    return this.#children >= mostChildren || Date.now() - this.#madeAt > longestMs;
  }

  /** Its children live on. */
  async end(): Promise<void> {
    await killProcess(this.#process);
    await rm(this.#runDir, { recursive: true, force: true });
    this.#ended();
  }
}
