// VMs that an earlier daemon has left and that have not answered yet. What is asked of a container in one of them waits for that
// VM alone; when no answer can come, it is refused.

import { settlesWithin } from '../../async/deadline';
import { DaemonError } from '../../errors';
import type { FoundVm } from '../../vm/contract/vm';
import { isActive, type ContainerState } from '../../semantics/containers/container-state';

/** How long a VM may be hindered from answering before those who wait for it are told. */
const patienceMs = 5000;
const lookMs = 500;

/** As much of a found VM as is needed to wait for it, or to end it. */
export type ExpectedVm = Pick<FoundVm, 'id' | 'state' | 'hindrance' | 'end'>;

interface Adoption {
  readonly vm: ExpectedVm;
  readonly settled: Promise<void>;
  /** By a record a container runs in it. */
  readonly isUsed: boolean;
}

/** What was asked needs a guest that can't answer for now. It can be killed all the same. */
export class HinderedVm extends DaemonError {
  constructor(vmId: string, reason: string) {
    super('Unavailable', `virtual machine ${vmId} can't answer: ${reason}`);
  }
}

export class Adoptions {
  /** By VM. */
  readonly #open = new Map<string, Adoption>();
  readonly #ended = new Set<string>();

  /** `settled`, which must not reject: its containers are on it again, or it is known that they are not. */
  expect(vm: ExpectedVm, settled: Promise<void>, isUsed: boolean): void {
    this.#open.set(vm.id, { vm, settled, isUsed });
    void settled.then(() => this.#open.delete(vm.id));
  }

  /** Resolves when it is known what has become of the container's VM; at once for one of this daemon's. Throws HinderedVm when that can't be known for now. */
  async settled(container: { state: ContainerState }): Promise<void> {
    const adoption = this.#of(container);
    if (adoption !== undefined) await untilSettled(adoption);
  }

  /** As `settled`, of the VM that the Pod had. */
  async settledPod(podId: string): Promise<void> {
    for (const adoption of this.#open.values()) {
      const { state } = adoption.vm;
      if (state.kind === 'Associated' && state.podId === podId) await untilSettled(adoption);
    }
  }

  /** Resolves when those are gone in which nothing runs: disks that are no container's are nobody's then. Never rejects. */
  async unusedEnded(): Promise<void> {
    const unused = [...this.#open.values()].filter(({ isUsed }) => !isUsed);
    await Promise.all(unused.map(({ settled }) => settled));
  }

  /** As `settled`, however long that takes. Never rejects. */
  async whenSettled(container: { state: ContainerState }): Promise<void> {
    await this.#of(container)?.settled;
  }

  /** Ends the VM of a container that is to be killed, and that can't be reached. */
  async end(container: { state: ContainerState }): Promise<void> {
    const adoption = this.#of(container);
    if (adoption === undefined) return;
    this.#ended.add(adoption.vm.id);
    await adoption.vm.end();
  }

  /** Whether it was `end` that ended the VM. */
  wasEnded(vmId: string): boolean {
    return this.#ended.has(vmId);
  }

  #of({ state }: { state: ContainerState }): Adoption | undefined {
    return isActive(state) ? this.#open.get(state.vmId) : undefined;
  }
}

async function untilSettled({ vm, settled }: Adoption): Promise<void> {
  while (!(await settlesWithin(settled, lookMs))) {
    const hindrance = vm.hindrance();
    if (hindrance === undefined || hindrance.forMs < patienceMs) continue;
    throw new HinderedVm(vm.id, hindrance.reason);
  }
}
