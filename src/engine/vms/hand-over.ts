// A VM that goes from one Pod to the next while it runs (`pod replace`). What the next one needs is plugged while the one
// before still runs; what that one has left in the VM is taken out beside the next one's start.

import { log } from '../../log';
import { containerDisks, diskIds, type ContainerDisks } from '../../translate/pod-to-vm';
import { endVm } from './end-vm';
import { plugMissing, unplugUnused } from './plugged-disks';
import type { RunningPod } from './running-pod';
import { takeOut } from './take-out';

/** The Pod that has the VM. `disks`: plugging and unplugging, one behind the other. */
type HandedOver = Pick<RunningPod, 'vm' | 'disks' | 'members'>;

export class HandOver {
  /** Resolves when the old Pod has come to its end, whether or not the next one can have the VM as it is. Never rejects. */
  readonly passed: Promise<void>;
  /** Resolves when nothing of the old Pod is in the VM any more, or the VM is gone. Never rejects. */
  readonly over: Promise<void>;
  readonly #old: HandedOver;
  readonly #next: readonly ContainerDisks[];
  readonly #left: { disks: ContainerDisks; keepData: boolean }[] = [];
  /** What of the next Pod's was not there yet; undefined: it could not be plugged. */
  readonly #ahead: Promise<string[] | undefined>;
  #taking: Promise<void> | undefined;
  #pass: () => void = () => undefined;
  #finish: () => void = () => undefined;

  /** `next`: of all containers of the Pod that comes. */
  constructor(old: HandedOver, next: readonly ContainerDisks[]) {
    this.#old = old;
    this.#next = next;
    this.over = new Promise((resolve) => (this.#finish = resolve));
    this.passed = new Promise((resolve) => (this.#pass = resolve));
    void old.vm.ended.then(() => {
      this.#pass();
      this.#finish();
    });
    this.#ahead = old.disks
      .run(() => plugMissing(old.vm, containerDisks(next)))
      .catch((error: unknown) => {
        log.info('disks could not be plugged ahead', { vmId: old.vm.id, error });
        return undefined;
      });
  }

  /** Of the disks that the next Pod needs. */
  isNext(diskId: string): boolean {
    return this.#next.some((disks) => diskIds(disks).includes(diskId));
  }

  /** See `passed`. */
  pass(): void {
    this.#pass();
  }

  /** A container of the old Pod has ended: it stays, mounted, until `takeOut`. */
  leave(disks: ContainerDisks, keepData: boolean): void {
    this.#left.push({ disks, keepData });
  }

  /** Shared files are written back when their container is unmounted, and not later: such a VM is reset first. */
  async isPossible(): Promise<boolean> {
    return (await this.#ahead) !== undefined && !this.#old.vm.sharesFiles;
  }

  /** The VM was reset, or is about to be ended: nothing is left to be taken out. */
  finish(): void {
    this.#finish();
  }

  /** Once the guest was asked for the next Pod; later calls join the first. The VM is ended if it fails. Never rejects. */
  takeOut(now: HandedOver): Promise<void> {
    this.#taking ??= this.#takeOut(now);
    return this.#taking;
  }

  async #takeOut(now: HandedOver): Promise<void> {
    try {
      const useless = this.#left.flatMap(({ disks }) => diskIds(disks)).filter((id) => !this.isNext(id));
      await takeOut(
        now,
        this.#left.map(({ disks, keepData }) => ({ id: disks.containerId, keepData })),
        useless,
      );
    } catch (error) {
      log.error('what a replaced Pod had in its VM could not be taken out', { vmId: now.vm.id, error });
      await endVm(now.vm, { keepData: false });
    } finally {
      this.#finish();
    }
  }

  /** The old Pod goes on: what was plugged ahead goes. Never rejects. */
  async giveUp(): Promise<void> {
    const ahead = (await this.#ahead) ?? [];
    await unplugUnused(this.#old, ahead).catch((error: unknown) =>
      log.warn('disks stay plugged', { vmId: this.#old.vm.id, error }),
    );
    this.#finish();
  }
}
