// Hands out VMs: idle clones kept ready, clones made on demand, cold boots when there is no template. Knows every VM of
// this daemon, and takes over those of an earlier one.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Config } from '../config';
import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';
import { AgentClient } from './agent/agent-client';
import { isAlive, killProcess, killProcessesNaming } from './host-process';
import { findAccelerator, type Accelerator } from './qemu/accelerator';
import { bootGuest, cloneGuest, discardGuest, identifyGuest, type RunningGuest } from './qemu/boot';
import { agentSocketName, processName, qmpSocketName, type MachineSpec } from './qemu/command-line';
import { vmGid, vmRunDir, vmUid, type LaunchSettings } from './qemu/launch';
import { QemuVm } from './qemu/qemu-vm';
import { QmpClient } from './qemu/qmp-client';
import {
  bootWithRetry,
  findTemplate,
  makeTemplate,
  prepareTemplateDir,
  templateKernel,
  templateKey,
  type Template,
  type TemplateSource,
} from './qemu/template';
import { warmUp } from './qemu/warm-up';
import type { Vm, VmPool, VmResources } from './vm';
import { readVmRecord, writeVmRecord, type VmRecord } from './vm-record';

export type VmPoolConfig = Pick<
  Config,
  | 'dataRoot'
  | 'runDir'
  | 'accelerator'
  | 'guestDir'
  | 'nativeDir'
  | 'qemuBinary'
  | 'poolSize'
  | 'vmMemoryBytes'
  | 'vmCpus'
  | 'vmUidBase'
>;

const nicsPerVm = 8;
const reattachTimeoutMs = 5000;
/** A guest under emulation on a busy host takes seconds; one that hangs takes for ever. */
const bootTimeoutMs = 40_000;
/** A container that has just been started shall have the CPUs to itself for this long before the pool is filled up. */
const refillDelayMs = 250;
const refillRetryMs = 5000;

/** Makes the pool. Finds out the accelerator, which takes some seconds the first time after a boot of the host. */
export async function createVmPool(
  config: VmPoolConfig,
  namespacePath: string | undefined,
): Promise<QemuVmPool> {
  const settings: LaunchSettings = {
    qemuBinary: config.qemuBinary,
    nativeDir: config.nativeDir,
    vmsDir: join(config.runDir, 'vms'),
    namespacePath,
    uidBase: process.getuid?.() === 0 ? config.vmUidBase : undefined,
  };
  await mkdir(settings.vmsDir, { recursive: true, mode: 0o711 });
  const source: TemplateSource = {
    templatesDir: join(config.dataRoot, 'templates'),
    guestDir: config.guestDir,
  };
  await mkdir(source.templatesDir, { recursive: true, mode: 0o711 });
  const probeDir = 'probe';
  await prepareTemplateDir(source, probeDir);
  const accelerator = await findAccelerator({
    choice: config.accelerator,
    dataRoot: config.dataRoot,
    settings,
    guest: templateKernel(source, probeDir),
    slot: probeSlot,
  });
  await rm(join(source.templatesDir, probeDir), { recursive: true, force: true });
  const machine: MachineSpec = {
    accelerator: accelerator.kind,
    memoryBytes: config.vmMemoryBytes,
    cpus: config.vmCpus,
    kernelPath: '',
    initramfsPath: '',
    tscKhz: accelerator.kind === 'tcg' ? accelerator.tscKhz : undefined,
    nicCount: nicsPerVm,
  };
  const key = await templateKey(machine, settings, source);
  return new QemuVmPool({
    settings,
    source,
    key,
    accelerator,
    machine: { ...machine, ...templateKernel(source, key) },
    poolSize: config.poolSize,
  });
}

/** Slot of VMs that are no container's: above those of containers. */
const probeSlot = 65_000;
const templateSlot = 65_001;

interface PoolParts {
  settings: LaunchSettings;
  source: TemplateSource;
  key: string;
  accelerator: Accelerator;
  machine: MachineSpec;
  poolSize: number;
}

export class QemuVmPool implements VmPool {
  readonly #parts: PoolParts;
  readonly #vms = new Map<string, QemuVm>();
  readonly #idle: QemuVm[] = [];
  readonly #slots = new Set<number>();
  #nextSlot = 0;
  #template: Promise<Template> | undefined;
  #templateReady = false;
  #refilling: Promise<void> | undefined;
  #refillTimer: NodeJS.Timeout | undefined;
  #started = false;
  #closed = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
  }

  async acquire(podId: string, wanted: Partial<VmResources>, signal?: AbortSignal): Promise<Vm> {
    const { machine } = this.#parts;
    const resources: VmResources = {
      memoryBytes: Math.max(wanted.memoryBytes ?? 0, machine.memoryBytes),
      cpus: Math.max(wanted.cpus ?? 0, machine.cpus),
    };
    const fits = resources.memoryBytes === machine.memoryBytes && resources.cpus === machine.cpus;
    const ready = fits ? this.#idle.shift() : undefined;
    // One of another size is booted: the template's devices and memory can't change.
    const vm = ready ?? (fits ? await this.#clone(signal) : await this.#boot(resources, signal));
    try {
      await vm.associate(podId);
    } catch (error) {
      await vm.end();
      throw error;
    }
    this.#refillLater(refillDelayMs);
    return vm;
  }

  find(vmId: string): Vm | undefined {
    return this.#vms.get(vmId);
  }

  list(): Vm[] {
    return [...this.#vms.values()];
  }

  async recover(): Promise<Vm[]> {
    const { vmsDir } = this.#parts.settings;
    const names = await readdir(vmsDir);
    await Promise.all(names.map((name) => this.#recoverOne(join(vmsDir, name))));
    for (const vm of [...this.#vms.values()]) {
      if (vm.state.kind !== 'Idle') continue;
      if (vm.used || vm.templateKey !== this.#parts.key) await vm.end();
      else this.#idle.push(vm);
    }
    return [...this.#vms.values()];
  }

  start(): void {
    this.#started = true;
    this.#refillLater(0);
  }

  /** Makes the template if there is none. For set-up and `start`; rejects with what is wrong. */
  ensureTemplate(): Promise<Template> {
    this.#template ??= this.#findOrMakeTemplate().catch((error: unknown) => {
      this.#template = undefined;
      throw error;
    });
    return this.#template;
  }

  async close(options: { endIdle: boolean }): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#refillTimer);
    await this.#refilling;
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
      template: this.#templateReady,
    };
  }

  async #findOrMakeTemplate(): Promise<Template> {
    const { settings, source, key, machine } = this.#parts;
    const found = await findTemplate(source, key);
    const template =
      found ?? (await makeTemplate(settings, source, key, machine, { id: 'template', slot: templateSlot }));
    this.#templateReady = true;
    return template;
  }

  /** A fresh VM from the template; from a cold boot if there can't be one. */
  async #clone(signal?: AbortSignal): Promise<QemuVm> {
    await this.ensureTemplate();
    // Looked at before each clone: a template that someone has written to must not spread.
    const template = await findTemplate(this.#parts.source, this.#parts.key);
    if (template === undefined) {
      this.#template = undefined;
      this.#templateReady = false;
      return this.#boot(this.#parts.machine, signal);
    }
    return this.#make(this.#parts.machine, signal, (request) =>
      cloneGuest(this.#parts.settings, {
        ...request,
        template,
      }),
    );
  }

  /** For the pool: where code must be translated, the VM has been through a container once. */
  async #cloneWarm(): Promise<QemuVm> {
    const vm = await this.#clone();
    if (this.#parts.accelerator.kind === 'kvm') return vm;
    const started = Date.now();
    try {
      const { warmUp: disks } = await this.ensureTemplate();
      await warmUp(vm, disks, join(vmRunDir(this.#parts.settings, vm.id), 'warm-up.ext4'));
    } catch (error) {
      await vm.end();
      throw error;
    }
    log.debug('vm warmed up', { vmId: vm.id, ms: Date.now() - started });
    return vm;
  }

  async #boot(resources: VmResources, signal?: AbortSignal): Promise<QemuVm> {
    await prepareTemplateDir(this.#parts.source, this.#parts.key);
    const machine = { ...this.#parts.machine, ...resources };
    return this.#make(machine, signal, (request) =>
      bootWithRetry(() =>
        bootGuest(this.#parts.settings, {
          ...request,
          memory: { kind: 'private' },
          timeoutMs: bootTimeoutMs,
        }),
      ),
    );
  }

  async #make(
    machine: MachineSpec,
    signal: AbortSignal | undefined,
    bringUp: (request: {
      id: string;
      slot: number;
      machine: MachineSpec;
      signal?: AbortSignal;
    }) => Promise<RunningGuest>,
  ): Promise<QemuVm> {
    if (this.#closed) throw new DaemonError('Unavailable', 'the daemon is shutting down');
    const started = Date.now();
    const slot = this.#takeSlot();
    const id = randomBytes(6).toString('hex');
    let guest: RunningGuest | undefined;
    try {
      guest = await bringUp({ id, slot, machine, ...(signal === undefined ? {} : { signal }) });
      await identifyGuest(guest.agent, randomBytes(16).toString('hex'));
      const record: VmRecord = {
        id,
        slot,
        process: guest.process,
        templateKey: this.#parts.key,
        state: { kind: 'Idle' },
        used: false,
        resources: { memoryBytes: machine.memoryBytes, cpus: machine.cpus },
        nics: guest.nics,
        disks: {},
      };
      await writeVmRecord(guest.runDir, record);
      const vm = this.#adopt(record, guest.runDir, guest.qmp, guest.agent, guest.exited);
      log.debug('vm ready', { vmId: id, ms: Date.now() - started });
      return vm;
    } catch (error) {
      if (guest !== undefined) await discardGuest(guest);
      this.#slots.delete(slot);
      throw error;
    }
  }

  #adopt(
    record: VmRecord,
    runDir: string,
    qmp: QmpClient,
    agent: AgentClient,
    exited?: Promise<string>,
  ): QemuVm {
    const { uidBase, nativeDir } = this.#parts.settings;
    const vm = new QemuVm({
      record,
      runDir,
      qmp,
      agent,
      exited,
      fileServerBinary: join(nativeDir, 'fs-server'),
      owner: uidBase === undefined ? undefined : { uid: vmUid(uidBase, record.slot), gid: vmGid(uidBase) },
      onEnded: (ended) => {
        this.#vms.delete(ended.id);
        this.#slots.delete(ended.slot);
        const at = this.#idle.indexOf(ended);
        if (at >= 0) this.#idle.splice(at, 1);
      },
    });
    this.#vms.set(vm.id, vm);
    return vm;
  }

  async #recoverOne(runDir: string): Promise<void> {
    const record = await readVmRecord(runDir);
    if (record === undefined || !(await isAlive(record.process))) {
      await this.#sweep(runDir, record);
      return;
    }
    this.#slots.add(record.slot);
    let qmp: QmpClient | undefined;
    try {
      qmp = await QmpClient.connect(join(runDir, qmpSocketName), { timeoutMs: reattachTimeoutMs });
      const agent = await AgentClient.connect(join(runDir, agentSocketName), {
        timeoutMs: reattachTimeoutMs,
      });
      this.#adopt(record, runDir, qmp, agent);
      log.info('vm found again', { vmId: record.id, state: record.state.kind });
    } catch (error) {
      log.warn('a vm of an earlier daemon does not answer and is ended', {
        vmId: record.id,
        error: errorMessage(error),
      });
      qmp?.close();
      this.#slots.delete(record.slot);
      await this.#sweep(runDir, record);
    }
  }

  /** Ends what is left of a VM: also one whose record was never written, which is known by its sockets' path. */
  async #sweep(runDir: string, record: VmRecord | undefined): Promise<void> {
    if (record !== undefined) await killProcess(record.process);
    else await killProcessesNaming(processName(basename(runDir)));
    await rm(runDir, { recursive: true, force: true });
  }

  #takeSlot(): number {
    // The one that was given back last is taken last: the kernel may still be at its taps for a moment.
    for (let tries = 0; tries < probeSlot; tries++) {
      const slot = this.#nextSlot;
      this.#nextSlot = (slot + 1) % probeSlot;
      if (this.#slots.has(slot)) continue;
      this.#slots.add(slot);
      return slot;
    }
    throw new DaemonError('Unavailable', 'too many VMs');
  }

  #refillLater(delayMs: number): void {
    if (!this.#started || this.#closed) return;
    clearTimeout(this.#refillTimer);
    this.#refillTimer = setTimeout(() => {
      this.#refilling ??= this.#refill().finally(() => {
        this.#refilling = undefined;
      });
    }, delayMs);
    this.#refillTimer.unref();
  }

  async #refill(): Promise<void> {
    try {
      await this.ensureTemplate();
      while (!this.#closed && this.#idle.length < this.#parts.poolSize)
        this.#idle.push(await this.#cloneWarm());
    } catch (error) {
      if (this.#closed) return;
      log.error('the pool of idle VMs could not be filled', { error });
      this.#refillLater(refillRetryMs);
    }
  }
}
