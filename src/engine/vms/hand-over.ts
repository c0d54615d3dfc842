// A VM that goes from one Pod to the next while it runs (`pod replace`). What the next one needs is plugged while the one
// before still runs; what that one has left in the VM is taken out beside the next one's start.

import { log } from '../../log';
import { containerDisks, diskIds, type ContainerDisks } from '../../translate/pod-to-vm';
import type { Vm, VmDisk } from '../../vm/contract/vm';
import type { RunningPod } from './running-pod';
import { tunnelPrefix } from './socket-tunnels';

/** The Pod that has the VM. `disks`: plugging and unplugging, one behind the other. */
type HandedOver = Pick<RunningPod, 'vm' | 'disks' | 'members'>;

/** How long the guest may take to write back what a container has written. */
const removeTimeoutMs = 20_000;

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

  async #takeOut({ vm, disks, members }: HandedOver): Promise<void> {
    try {
      for (const left of this.#left) {
        const id = left.disks.containerId;
        const request = { id, sync: left.keepData };
        await vm.agent.request('container.remove', request, { timeoutMs: removeTimeoutMs });
        await vm.agent.request('tunnel.close', { prefix: tunnelPrefix(id) });
      }
      await disks.run(() => {
        const used = new Set([...members.values()].flatMap(diskIds));
        const useless = this.#left.flatMap((left) => diskIds(left.disks));
        return vm.unplugDisks(useless.filter((id) => !used.has(id) && !this.isNext(id)));
      });
    } catch (error) {
      log.error('what a replaced Pod had in its VM could not be taken out', { vmId: vm.id, error });
      await vm
        .end()
        .catch((endError: unknown) => log.error('VM could not be ended', { vmId: vm.id, error: endError }));
    } finally {
      this.#finish();
    }
  }

  /** The old Pod goes on: what was plugged ahead goes. Never rejects. */
  async giveUp(): Promise<void> {
    const { vm, disks, members } = this.#old;
    const ahead = (await this.#ahead) ?? [];
    await disks
      .run(() => {
        const used = new Set([...members.values()].flatMap(diskIds));
        return vm.unplugDisks(ahead.filter((id) => !used.has(id)));
      })
      .catch((error: unknown) => log.warn('disks stay plugged', { vmId: vm.id, error }));
    this.#finish();
  }
}

/** Plugs what is not there yet, and says what that was. */
export async function plugMissing(vm: Vm, disks: readonly VmDisk[]): Promise<string[]> {
  const known = vm.pluggedDisks();
  const missing = disks.filter(({ id }) => !known.has(id));
  if (missing.length > 0) await vm.plugDisks(missing);
  return missing.map(({ id }) => id);
}
