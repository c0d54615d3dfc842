// VMs and a factory of them, for the pool: no QEMU, no socket.

import type { Agent } from '../../../src/vm/contract/agent';
import type { VmEnd, VmResources } from '../../../src/vm/contract/vm';
import type { PoolableVm, VmFactory } from '../../../src/vm/pool/vm-pool';
import { nextVmState, type VmState } from '../../../src/vm/contract/vm-state';

/** What a test does not expect to be called. */
function unexpected(): never {
  throw new Error('not part of this test');
}

export class PlainVm implements PoolableVm {
  readonly pid = 1;
  readonly nics = [];
  readonly sharesFiles = false;
  readonly ended: Promise<VmEnd>;
  state: VmState = { kind: 'Idle' };
  used = false;
  held = false;
  isDetached = false;
  associateFailure: Error | undefined;
  settle: (end: VmEnd) => void = unexpected;

  readonly id: string;
  readonly resources: VmResources;

  constructor(id: string, resources: VmResources) {
    this.id = id;
    this.resources = resources;
    this.ended = new Promise((resolve) => (this.settle = resolve));
  }

  get agent(): Agent {
    return unexpected();
  }

  hold(): Promise<void> {
    this.held = true;
    return Promise.resolve();
  }

  associate(podId: string): Promise<void> {
    if (this.associateFailure !== undefined) return Promise.reject(this.associateFailure);
    const next = nextVmState(this.state, { kind: 'associate', podId });
    if (next === undefined) return Promise.reject(new Error('illegal'));
    this.state = next;
    this.used = true;
    this.held = false;
    return Promise.resolve();
  }

  end(): Promise<void> {
    this.settle({ cause: 'requested', message: '' });
    return Promise.resolve();
  }

  keepRecord(): Promise<boolean> {
    return Promise.resolve(false);
  }

  detach(): void {
    this.isDetached = true;
  }

  release = unexpected;
  plugDisks = unexpected;
  unplugDisks = unexpected;
  pluggedDisks = unexpected;
  resizeDisk = unexpected;
  shareFiles = unexpected;
  unshareFiles = unexpected;
  protectShares = unexpected;
  pause = unexpected;
  resume = unexpected;
  readConsole = unexpected;
  hindrance = unexpected;
  save = unexpected;
}

export class FakeVmFactory implements VmFactory {
  readonly resources: VmResources = { memoryBytes: 1000, cpus: 2 };
  readonly made: { vm: PlainVm; how: 'clone' | 'warm' | 'sized' }[] = [];
  readonly templates: VmResources[] = [];
  templateReady = false;
  failure: Error | undefined;
  left: { vm: PlainVm; isFresh: boolean }[] = [];
  /** Those that are left have answered. */
  answer: Promise<void> = Promise.resolve();
  isStopped = false;
  /** Called before each VM is there; may wait. */
  before: (how: string) => Promise<void> = () => Promise.resolve();
  #count = 0;

  ensureTemplate(): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.templateReady = true;
    return Promise.resolve();
  }

  clone(): Promise<PlainVm> {
    return this.#make('clone', this.resources);
  }

  cloneWarm(): Promise<PlainVm> {
    return this.#make('warm', this.resources);
  }

  makeOfSize(resources: VmResources): Promise<PlainVm> {
    return this.#make('sized', resources);
  }

  restore(): Promise<PlainVm> {
    return this.#make('clone', this.resources);
  }

  recover(): ReturnType<VmFactory['recover']> {
    const found = this.left.map(({ vm, isFresh }) => ({
      id: vm.id,
      state: vm.state,
      disks: [],
      answered: this.answer.then(() => ({ vm, isFresh })),
      hindrance: () => undefined,
      end: () => vm.end(),
    }));
    return Promise.resolve({ found, straysEnded: Promise.resolve() });
  }

  stop(): Promise<void> {
    this.isStopped = true;
    return Promise.resolve();
  }

  async #make(how: 'clone' | 'warm' | 'sized', resources: VmResources): Promise<PlainVm> {
    await this.before(how);
    if (this.failure !== undefined) throw this.failure;
    this.#count += 1;
    const vm = new PlainVm(`vm${this.#count}`, resources);
    this.made.push({ vm, how });
    return vm;
  }
}
