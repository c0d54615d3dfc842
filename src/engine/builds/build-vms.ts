// The VMs of builds that run: each serves one build, a step at a time, and stays plugged with the build's layers for the next one.

import { log } from '../../log';
import type { Vm, VmPool, VmResources } from '../../vm/contract/vm';

/** A VM that a build has, busy or not. */
interface BuildVm {
  readonly vm: Vm;
  /** A step is in it. */
  isBusy: boolean;
  /** The last step is out of it; the VM is Idle then, or gone. Never rejects. */
  left: Promise<void>;
}

export class BuildVms {
  readonly #vms: Pick<VmPool, 'find'>;
  readonly #byBuild = new Map<string, Map<string, BuildVm>>();

  constructor(vms: Pick<VmPool, 'find'>) {
    this.#vms = vms;
  }

  /**
   * One of the build's that is free and has enough, `wished` if it can be; undefined: there is none. It is the caller's until `left`
   * or `forget`.
   */
  async claim(
    buildId: string,
    wished: string,
    { memoryBytes = 0, cpus = 0 }: Partial<VmResources>,
  ): Promise<string | undefined> {
    for (;;) {
      const free = [...(this.#byBuild.get(buildId)?.values() ?? [])].filter(
        ({ vm, isBusy }) => !isBusy && vm.resources.memoryBytes >= memoryBytes && vm.resources.cpus >= cpus,
      );
      const found = free.find(({ vm }) => vm.id === wished) ?? free[0];
      if (found === undefined) return undefined;
      found.isBusy = true;
      await found.left;
      if (this.#vms.find(found.vm.id)?.state.kind === 'Idle') return found.vm.id;
      this.forget(buildId, found.vm.id);
    }
  }

  /** A step of the build runs in it. */
  entered(buildId: string, vm: Vm): void {
    const ofBuild = this.#byBuild.get(buildId) ?? new Map<string, BuildVm>();
    this.#byBuild.set(buildId, ofBuild.set(vm.id, { vm, isBusy: true, left: Promise.resolve() }));
  }

  /** The step is done; whoever claims it waits until it is out. */
  leaving(buildId: string, vmId: string, left: Promise<void>): void {
    const found = this.#byBuild.get(buildId)?.get(vmId);
    if (found === undefined) return;
    found.left = left;
    found.isBusy = false;
  }

  forget(buildId: string, vmId: string): void {
    const ofBuild = this.#byBuild.get(buildId);
    ofBuild?.delete(vmId);
    if (ofBuild?.size === 0) this.#byBuild.delete(buildId);
  }

  /** Ends all that the build has. Never rejects. */
  async end(buildId: string): Promise<void> {
    const ofBuild = [...(this.#byBuild.get(buildId)?.values() ?? [])];
    this.#byBuild.delete(buildId);
    await Promise.all(ofBuild.map((each) => this.#end(each)));
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#byBuild.keys()].map((buildId) => this.end(buildId)));
  }

  async #end({ vm, left }: BuildVm): Promise<void> {
    await left;
    if (this.#vms.find(vm.id)?.state.kind !== 'Idle') return;
    await vm
      .end()
      .catch((error: unknown) => log.error('VM of a build could not be ended', { vmId: vm.id, error }));
  }
}
