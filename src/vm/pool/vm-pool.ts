// pool/: which VMs there are.
//
// Hands out VMs: idle ones kept ready, clones made on demand, cold boots for another size. Knows every VM of this
// daemon, also those that an earlier one has left running.

import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { nicsPerVm, type Config } from '../../config';
import { DaemonError, errorMessage } from '../../errors';
import { makePassableDirectory } from '../../host/directories';
import { log } from '../../log';
import { findAccelerator, type Accelerator } from '../qemu/accelerator';
import type { MachineSpec } from '../qemu/command-line';
import { vmGid, type LaunchSettings } from '../qemu/launch';
import {
  describeTemplate as describeTemplates,
  prepareTemplateDir,
  removeTemplateDir,
  templateKernel,
  templateKey,
  type TemplateSource,
} from '../qemu/template';
import { Slots } from '../../async/slots';
import type {
  FoundVm,
  FoundVms,
  RestoreSource,
  SavedVm,
  UnansweredVm,
  Vm,
  VmPool,
  VmResources,
} from '../contract/vm';
import { probeSlot, QemuVmFactory } from './vm-factory';

export type VmPoolConfig = Pick<
  Config,
  | 'dataRoot'
  | 'runDir'
  | 'accelerator'
  | 'emulatedAslr'
  | 'guestDir'
  | 'nativeDir'
  | 'qemuBinary'
  | 'poolSize'
  | 'vmMemoryBytes'
  | 'vmCpus'
  | 'vmUidBase'
  | 'sizedTemplates'
>;

/** A container that has just been started shall have the CPUs to itself for this long before the pool is filled up… */
const refillDelayMs = 150;
/** …but not for ever, when one start follows the other. */
const refillLatestMs = 1000;
const refillRetryMs = 5000;

/** Makes the pool. Finds out the accelerator, which takes some seconds the first time after a boot of the host. */
export async function createVmPool(
  config: VmPoolConfig,
  namespacePath: string | undefined,
  beforeLaunch?: () => Promise<void>,
): Promise<PooledVms> {
  const settings = {
    ...launchSettings(config, namespacePath),
    ...(beforeLaunch === undefined ? {} : { beforeLaunch }),
  };
  const source = templateSource(config);
  await makeDirectories(settings, source);
  const accelerator = await probeAccelerator(config);
  const machine: MachineSpec = {
    accelerator: accelerator.kind,
    memoryBytes: config.vmMemoryBytes,
    cpus: config.vmCpus,
    kernelPath: '',
    initramfsPath: '',
    tscKhz: accelerator.kind === 'tcg' ? accelerator.tscKhz : undefined,
    nicCount: nicsPerVm,
    randomAddresses: accelerator.kind === 'kvm' || config.emulatedAslr,
    // not `false`: what it was before there was a choice has the same templates
    ...(accelerator.optionRoms === true ? { optionRoms: true } : {}),
  };
  const key = await templateKey(machine, settings, source);
  const factory = new QemuVmFactory({
    settings,
    source,
    key,
    machine: { ...machine, ...templateKernel(source, key) },
    sizedTemplates: config.sizedTemplates,
  });
  return new PooledVms({
    factory,
    accelerator,
    poolSize: config.poolSize,
    // Each takes a CPU most of the time; more at once would only all be late, and run into their deadlines.
    clonesAtOnce: 2 * availableParallelism(),
    most: { memoryBytes: wholeMebibytes(totalmem()), cpus: availableParallelism() },
  });
}

/**
 * Which accelerator VMs get on this machine, and why: what is remembered of this boot of the host, else a trial boot of
 * a few seconds. For the daemon, `caisson prepare` and doctor, which thus agree.
 */
export async function probeAccelerator(config: VmPoolConfig): Promise<Accelerator> {
  const source = templateSource(config);
  const probeDir = 'probe';
  try {
    return await findAccelerator({
      choice: config.accelerator,
      dataRoot: config.dataRoot,
      settings: launchSettings(config, undefined),
      guest: async () => {
        await makeDirectories(launchSettings(config, undefined), source);
        await prepareTemplateDir(source, probeDir);
        return templateKernel(source, probeDir);
      },
      slot: probeSlot,
    });
  } finally {
    // Mostly there is none; and a user who may not look there has not made one.
    await removeTemplateDir(source, probeDir).catch(() => undefined);
  }
}

/** The templates of this data root, for doctor. */
export function describeTemplate(config: VmPoolConfig): ReturnType<typeof describeTemplates> {
  return describeTemplates(templateSource(config).templatesDir);
}

function launchSettings(config: VmPoolConfig, namespacePath: string | undefined): LaunchSettings {
  return {
    qemuBinary: config.qemuBinary,
    nativeDir: config.nativeDir,
    vmsDir: join(config.runDir, 'vms'),
    namespacePath,
    uidBase: process.getuid?.() === 0 ? config.vmUidBase : undefined,
  };
}

function templateSource(config: VmPoolConfig): TemplateSource {
  const { uidBase } = launchSettings(config, undefined);
  return {
    templatesDir: join(config.dataRoot, 'templates'),
    guestDir: config.guestDir,
    gid: uidBase === undefined ? undefined : vmGid(uidBase),
  };
}

async function makeDirectories({ vmsDir }: LaunchSettings, source: TemplateSource): Promise<void> {
  for (const path of [vmsDir, source.templatesDir]) await makePassableDirectory(path, source.gid);
}

function describeSize({ memoryBytes, cpus }: VmResources): string {
  return `${memoryBytes / 2 ** 20} MiB of memory and ${cpus} CPUs`;
}

function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / 2 ** 20) * 2 ** 20;
}

function givenUp(): DaemonError {
  return new DaemonError('Unavailable', 'the start was given up');
}

/** What the pool needs of a VM beyond its contract. */
export interface PoolableVm extends Vm {
  /** Lets it live on without this daemon. */
  detach(): void;
  /** Makes its run directory and record again, should somebody have removed them. Resolves with whether that was so. */
  keepRecord(): Promise<boolean>;
}

/** A VM of an earlier daemon, as the factory has found it. */
interface FoundPoolVm extends Omit<FoundVm, 'answered'> {
  answered: Promise<{ vm: PoolableVm; isFresh: boolean } | undefined>;
}

/** What the pool needs to come by VMs; QemuVmFactory. */
export interface VmFactory {
  readonly resources: VmResources;
  readonly templateReady: boolean;
  readonly templates: VmResources[];
  ensureTemplate(): Promise<unknown>;
  clone(signal?: AbortSignal): Promise<PoolableVm>;
  cloneWarm(): Promise<PoolableVm>;
  makeOfSize(resources: VmResources, signal?: AbortSignal): Promise<PoolableVm>;
  restore(saved: SavedVm, source: RestoreSource): Promise<PoolableVm>;
  recover(isUsed: (vmId: string) => boolean): Promise<{ found: FoundPoolVm[]; straysEnded: Promise<void> }>;
  stop(): Promise<void>;
}

export interface PoolParts {
  factory: VmFactory;
  accelerator: Accelerator;
  poolSize: number;
  /** Made for Pods that wait. */
  clonesAtOnce: number;
  /** No VM gets more than this: what the host has. */
  most: VmResources;
}

export class PooledVms implements VmPool {
  readonly #parts: PoolParts;
  readonly #vms = new Map<string, PoolableVm>();
  /** Oldest first. */
  #idle: PoolableVm[] = [];
  #refilling: Promise<void> | undefined;
  /** VMs that are being made for a Pod: none may be left half-made when the daemon ends. */
  readonly #acquiring = new Set<Promise<unknown>>();
  readonly #cloning: Slots;
  /** Ids of VMs of an earlier daemon that may still be there. */
  readonly #unanswered = new Map<string, UnansweredVm>();
  /** It is known which of the Idle ones among them are of use. */
  #recovered: Promise<unknown> = Promise.resolve();
  #refillTimer: NodeJS.Timeout | undefined;
  #refillWantedSince: number | undefined;
  #started = false;
  #closed = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#cloning = new Slots(parts.clonesAtOnce);
  }

  acquire(podId: string, wanted: Partial<VmResources>, signal?: AbortSignal): Promise<Vm> {
    return this.#provide((vm) => vm.associate(podId), wanted, signal);
  }

  hold(wanted: Partial<VmResources>): Promise<Vm> {
    return this.#provide((vm) => vm.hold(), wanted);
  }

  async take(vmId: string, podId: string, wanted: Partial<VmResources>): Promise<Vm> {
    const vm = this.#vms.get(vmId);
    if (vm === undefined) throw new DaemonError('NotFound', `No such VM: ${vmId}`);
    if (vm.state.kind !== 'Idle') {
      throw new DaemonError('Conflict', `VM ${vmId} is in use by Pod ${vm.state.podId}`);
    }
    const { memoryBytes, cpus } = this.#size(wanted);
    if (vm.resources.memoryBytes < memoryBytes || vm.resources.cpus < cpus) {
      throw new DaemonError(
        'Conflict',
        `VM ${vmId} has ${describeSize(vm.resources)}, and ${describeSize({ memoryBytes, cpus })} are needed`,
      );
    }
    this.#idle = this.#idle.filter((other) => other !== vm);
    this.#refillLater(refillDelayMs);
    await vm.associate(podId);
    return vm;
  }

  restore(podId: string, saved: SavedVm, source: RestoreSource): Promise<Vm> {
    return this.#track(this.#restore(podId, saved, source));
  }

  async #restore(podId: string, saved: SavedVm, source: RestoreSource): Promise<Vm> {
    this.#throwIfClosed();
    const { most } = this.#parts;
    if (saved.resources.memoryBytes > most.memoryBytes || saved.resources.cpus > most.cpus) {
      throw new DaemonError(
        'Conflict',
        'the checkpoint is of a VM with more memory or CPUs than this host has',
      );
    }
    const vm = this.#know(await this.#parts.factory.restore(saved, source));
    await this.#claim(vm, () => vm.associate(podId));
    return vm;
  }

  #provide(
    claim: (vm: PoolableVm) => Promise<void>,
    wanted: Partial<VmResources>,
    signal?: AbortSignal,
  ): Promise<Vm> {
    return this.#track(this.#acquire(claim, wanted, signal));
  }

  /** The daemon's end waits for it. */
  #track(acquiring: Promise<Vm>): Promise<Vm> {
    this.#acquiring.add(acquiring);
    const settled = (): void => void this.#acquiring.delete(acquiring);
    acquiring.then(settled, settled);
    return acquiring;
  }

  async #acquire(
    claim: (vm: PoolableVm) => Promise<void>,
    wanted: Partial<VmResources>,
    signal?: AbortSignal,
  ): Promise<Vm> {
    if (signal?.aborted === true) throw givenUp();
    this.#throwIfClosed();
    const { factory } = this.#parts;
    const resources = this.#roundUp(this.#size(wanted));
    const fits =
      resources.memoryBytes === factory.resources.memoryBytes && resources.cpus === factory.resources.cpus;
    try {
      // A VM's memory and CPUs can't change: one of another size is made as such.
      if (!fits) return await this.#claimMade(await factory.makeOfSize(resources, signal), claim);
      return (
        (await this.#claimIdle(claim)) ??
        (await this.#cloning.run(async () => {
          if (signal?.aborted === true) throw givenUp();
          this.#throwIfClosed();
          // There may be one by now.
          return (
            (await this.#claimIdle(claim)) ?? (await this.#claimMade(await factory.clone(signal), claim))
          );
        }))
      );
    } finally {
      this.#refillLater(refillDelayMs);
    }
  }

  /** What a VM gets of whom so much is wanted: more than the host has could not be used by anyone, and would not start. */
  #size(wanted: Partial<VmResources>): VmResources {
    const { factory, most } = this.#parts;
    return {
      memoryBytes: Math.max(
        Math.min(wanted.memoryBytes ?? 0, most.memoryBytes),
        factory.resources.memoryBytes,
      ),
      cpus: Math.max(Math.min(wanted.cpus ?? 0, most.cpus), factory.resources.cpus),
    };
  }

  /** Few sizes, so that a template fits the next one: memory that is not touched costs nothing. */
  #roundUp({ memoryBytes, cpus }: VmResources): VmResources {
    const { factory, most } = this.#parts;
    let rounded = factory.resources.memoryBytes;
    while (rounded < memoryBytes) rounded *= 2;
    return { memoryBytes: Math.min(rounded, Math.max(most.memoryBytes, memoryBytes)), cpus };
  }

  find(vmId: string): Vm | undefined {
    return this.#vms.get(vmId);
  }

  list(): Vm[] {
    return [...this.#vms.values()];
  }

  async recover(isUsed: (vmId: string) => boolean): Promise<FoundVms> {
    const { found, straysEnded } = await this.#parts.factory.recover(isUsed);
    const vms = found.map((guest) => {
      this.#unanswered.set(guest.id, guest);
      return { ...guest, answered: this.#whenAnswered(guest) };
    });
    const idle = vms.filter(({ id, state }) => state.kind === 'Idle' && !isUsed(id));
    this.#recovered = Promise.all(idle.map(({ answered }) => answered));
    return { vms, straysEnded };
  }

  get unanswered(): readonly UnansweredVm[] {
    return [...this.#unanswered.values()];
  }

  /** Fresh ones are handed out again, useless ones ended. */
  async #whenAnswered({ id, answered }: FoundPoolVm): Promise<Vm | undefined> {
    const answer = await answered;
    this.#unanswered.delete(id);
    if (answer === undefined) return undefined;
    const { vm, isFresh } = answer;
    this.#know(vm);
    if (this.#closed) {
      vm.detach();
      return new Promise(() => undefined); // the next daemon's
    }
    if (isFresh) this.#idle.push(vm);
    else if (vm.state.kind === 'Idle' && !vm.held) await vm.end();
    return vm;
  }

  /** Resolves with the ids of VMs whose run directories were gone, and are there again. */
  async keepRecords(): Promise<string[]> {
    const vms = [...this.#vms.values()];
    const were = await Promise.all(vms.map((vm) => vm.keepRecord()));
    return vms.filter((_, index) => were[index]).map(({ id }) => id);
  }

  start(): void {
    this.#started = true;
    this.#refillLater(0);
  }

  /** Makes the template if there is none. For set-up; rejects with what is wrong. */
  async ensureTemplate(): Promise<void> {
    await this.#parts.factory.ensureTemplate();
  }

  async close(options: { endIdle: boolean }): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refillTimer);
    const stopped = this.#parts.factory.stop();
    await this.#refilling;
    await Promise.allSettled([...this.#acquiring]);
    await stopped;
    const idle = this.#idle.splice(0);
    if (options.endIdle) await Promise.all(idle.map((vm) => vm.end()));
    for (const vm of this.#vms.values()) vm.detach();
  }

  status(): ReturnType<VmPool['status']> {
    return {
      accelerator: this.#parts.accelerator.kind,
      acceleratorReason: this.#parts.accelerator.reason,
      idle: this.#idle.length,
      associated: [...this.#vms.values()].filter((vm) => vm.state.kind === 'Associated').length,
      template: this.#parts.factory.templateReady,
      factory: {
        poolSize: this.#parts.poolSize,
        default: this.#parts.factory.resources,
        templates: this.#parts.factory.templates,
      },
    };
  }

  #throwIfClosed(): void {
    if (this.#closed) throw new DaemonError('Unavailable', 'the daemon is shutting down');
  }

  /** The first idle VM that can be had: one may have died a moment ago. */
  async #claimIdle(claim: (vm: PoolableVm) => Promise<void>): Promise<Vm | undefined> {
    for (let vm = this.#idle.shift(); vm !== undefined; vm = this.#idle.shift()) {
      try {
        await this.#claim(vm, claim);
        return vm;
      } catch (error) {
        log.warn('an idle vm was of no use', { vmId: vm.id, error: errorMessage(error) });
      }
    }
    return undefined;
  }

  async #claimMade(made: PoolableVm, claim: (vm: PoolableVm) => Promise<void>): Promise<Vm> {
    const vm = this.#know(made);
    if (this.#closed) await vm.end(); // nobody would ever come for it
    this.#throwIfClosed();
    await this.#claim(vm, claim);
    return vm;
  }

  async #claim(vm: PoolableVm, claim: (vm: PoolableVm) => Promise<void>): Promise<void> {
    try {
      await claim(vm);
    } catch (error) {
      await vm.end();
      throw error;
    }
  }

  #know(vm: PoolableVm): PoolableVm {
    this.#vms.set(vm.id, vm);
    void vm.ended.then(() => {
      this.#vms.delete(vm.id);
      const wasIdle = this.#idle.includes(vm);
      this.#idle = this.#idle.filter((other) => other !== vm);
      if (wasIdle) this.#refillLater(refillDelayMs);
    });
    return vm;
  }

  #refillLater(delayMs: number): void {
    if (!this.#started || this.#closed) return;
    const now = Date.now();
    this.#refillWantedSince ??= now;
    const latest = this.#refillWantedSince + refillLatestMs - now;
    clearTimeout(this.#refillTimer);
    this.#refillTimer = setTimeout(
      () => {
        this.#refillWantedSince = undefined;
        this.#refilling ??= this.#refill().finally(() => {
          this.#refilling = undefined;
        });
      },
      delayMs > refillLatestMs ? delayMs : Math.min(delayMs, Math.max(0, latest)),
    );
    this.#refillTimer.unref();
  }

  /** One at a time: it is done in the background. */
  async #refill(): Promise<void> {
    const { factory, poolSize } = this.#parts;
    try {
      await Promise.all([factory.ensureTemplate(), this.#recovered]);
      while (!this.#closed && this.#idle.length < poolSize) {
        // Those have the CPUs first; each of them asks for the filling again.
        if (this.#cloning.waiting > 0) return;
        const vm = this.#know(await factory.cloneWarm());
        // Not in one expression: the list may be another one after the wait.
        this.#idle.push(vm);
      }
    } catch (error) {
      if (this.#closed) return;
      log.error('the pool of idle VMs could not be filled', { error });
      this.#refillLater(refillRetryMs);
    }
  }
}
