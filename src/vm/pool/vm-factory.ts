// Brings VMs into being: clones of the template, cold boots where there can't be one, and those that an earlier daemon
// has left running. The pool decides when.

import { randomBytes } from 'node:crypto';
import { readdir, realpath, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { DaemonError, errorMessage } from '../../errors';
import { log } from '../../log';
import type { AgentClient } from '../agent/agent-client';
import { BulkDisk, bulkFileName } from '../host/bulk-disk';
import { DiskAccess, type DiskOwner } from '../host/disk-access';
import { FileServer, realShares, sharePathsOf } from '../file-server/file-server';
import { findProcess, isAlive, killProcess, killProcessesNaming } from '../host/host-process';
import {
  bootGuest,
  cloneGuest,
  discardGuest,
  forkGuest,
  identifyGuest,
  restoreGuest,
  type GuestRequest,
  type RunningGuest,
} from '../qemu/boot';
import { processName, type MachineSpec } from '../qemu/command-line';
import { plugCommands } from '../qemu/disks';
import { vmGid, vmUid, type LaunchSettings } from '../qemu/launch';
import { QemuVm } from '../qemu/qemu-vm';
import type { QmpClient } from '../qemu/qmp-client';
import {
  bootWithRetry,
  findTemplate,
  makeTemplate,
  prepareTemplateDir,
  type Template,
  type TemplateSource,
} from '../qemu/template';
import { warmUp } from '../qemu/warm-up';
import { SharedPaths } from '../file-server/shared-paths';
import { Reattachment } from './reattachment';
import { Seed } from './seed';
import { SizedTemplates } from './sized-templates';
import type { FoundVm, RestoreSource, SavedVm, VmResources } from '../contract/vm';
import { killStrays } from '../host/stray-processes';
import { readVmRecord, writeVmRecord, type VmRecord } from '../host/vm-record';

/** Slots of VMs that are no container's: above those of containers. */
export const probeSlot = 65_000;
const templateSlot = 65_001;
const sizedTemplateSlot = 65_002;
const lastSlot = sizedTemplateSlot;
const templateVmId = 'template';

export interface VmFactoryParts {
  settings: LaunchSettings;
  source: TemplateSource;
  /** Of the template that fits this QEMU, guest and machine. */
  key: string;
  machine: MachineSpec;
  /** Most templates of other sizes. */
  sizedTemplates: number;
}

/** As FoundVm, before the pool knows it. `isFresh`: it is as one that was made just now. */
export interface FoundGuest extends Omit<FoundVm, 'answered'> {
  answered: Promise<{ vm: QemuVm; isFresh: boolean } | undefined>;
}

export class QemuVmFactory {
  readonly #parts: VmFactoryParts;
  /** Aborted by `stop`: what is under way is given up. */
  readonly #stopping = new AbortController();
  readonly #slots = new Set<number>();
  readonly #diskAccess = new DiskAccess();
  readonly #sized: SizedTemplates;
  readonly #sharedPaths = new SharedPaths();
  #nextSlot = 0;
  #template: Promise<Template> | undefined;
  #templateReady = false;
  #seed: Seed | undefined;

  constructor(parts: VmFactoryParts) {
    this.#parts = parts;
    const { sizedTemplates: limit, ...common } = parts;
    this.#sized = new SizedTemplates({ ...common, limit, slot: sizedTemplateSlot });
  }

  /** Of a VM that `clone` makes. */
  get resources(): VmResources {
    const { memoryBytes, cpus } = this.#parts.machine;
    return { memoryBytes, cpus };
  }

  get templateReady(): boolean {
    return this.#templateReady;
  }

  /** Other sizes that have a template. */
  get templates(): VmResources[] {
    return this.#sized.list();
  }

  /** Makes the template if there is none. Rejects with what is wrong; the next call tries again. */
  ensureTemplate(): Promise<Template> {
    this.#template ??= this.#findOrMakeTemplate().catch((error: unknown) => {
      this.#template = undefined;
      throw error;
    });
    return this.#template;
  }

  /** A fresh VM from the template; from a cold boot if there can't be one. `signal` gives up. */
  async clone(signal?: AbortSignal): Promise<QemuVm> {
    try {
      const template = await this.#intactTemplate();
      return (await this.#forked(signal)) ?? (await this.#cloneOf(template, this.resources, signal));
    } catch (error) {
      this.#throwIfOver(signal);
      log.warn('a vm could not be cloned and is booted', { error: errorMessage(error) });
      return this.#boot(this.resources, signal);
    }
  }

  /** A fresh VM of another size: from that size's template where there is one, else from a cold boot. */
  async makeOfSize(resources: VmResources, signal?: AbortSignal): Promise<QemuVm> {
    try {
      const template = await this.#sized.find(resources);
      if (template !== undefined) return await this.#cloneOf(template, resources, signal);
    } catch (error) {
      this.#throwIfOver(signal);
      log.warn('a vm could not be cloned and is booted', { ...resources, error: errorMessage(error) });
    }
    const vm = await this.#boot(resources, signal);
    this.#sized.booted(resources);
    return vm;
  }

  #cloneOf(
    template: Template,
    resources: VmResources,
    signal?: AbortSignal,
    isSeed = false,
  ): Promise<QemuVm> {
    return this.#make({ ...this.#parts.machine, ...resources }, signal, (request) =>
      cloneGuest(this.#parts.settings, { ...request, template, isSeed }),
    );
  }

  /** A child of the seed; undefined where there is none, or none that works. */
  async #forked(signal: AbortSignal | undefined): Promise<QemuVm | undefined> {
    const seed = this.#seed;
    if (seed === undefined) return undefined;
    try {
      seed.count();
      return await this.#make(this.#parts.machine, signal, (request) =>
        forkGuest(this.#parts.settings, { ...request, seedSocketPath: seed.socketPath }),
      );
    } catch (error) {
      this.#throwIfOver(signal);
      log.warn('a vm could not be forked and is cloned', { error: errorMessage(error) });
      if (this.#seed === seed) this.#seed = undefined;
      await seed.end();
      return undefined;
    }
  }

  /**
   * For the pool: where code must be translated, the VM has been through a container once, or is the child of one that has.
   */
  async cloneWarm(): Promise<QemuVm> {
    if (this.#parts.machine.accelerator === 'kvm') return this.clone();
    const template = await this.#intactTemplate();
    if (this.#seed === undefined || this.#seed.isStale) await this.#makeSeed(template);
    const forked = await this.#forked(undefined);
    if (forked !== undefined) return forked;
    const vm = await this.clone();
    await this.#warmUp(vm, template);
    return vm;
  }

  /** The one before stays until then. Never rejects: VMs can be made otherwise. */
  async #makeSeed(template: Template): Promise<void> {
    const old = this.#seed;
    try {
      const started = Date.now();
      const vm = await this.#cloneOf(template, this.resources, undefined, true);
      await this.#warmUp(vm, template);
      const seed = await Seed.of(vm, () => this.#slots.delete(vm.slot));
      if (this.#stopping.signal.aborted) {
        await seed.end();
        return;
      }
      this.#seed = seed;
      log.info('seed made', { vmId: vm.id, ms: Date.now() - started });
      await old?.end();
    } catch (error) {
      log.warn('VMs are cloned one by one', { error: errorMessage(error) });
    }
  }

  /** Has it run a container of ours; ends it when that fails. */
  async #warmUp(vm: QemuVm, { warmUp: disks }: Template): Promise<void> {
    const started = Date.now();
    try {
      await warmUp(vm, disks, join(vm.runDir, 'warm-up.ext4'));
    } catch (error) {
      await vm.end();
      throw error;
    }
    log.debug('vm warmed up', { vmId: vm.id, ms: Date.now() - started });
  }

  async #boot(resources: VmResources, signal: AbortSignal | undefined): Promise<QemuVm> {
    await prepareTemplateDir(this.#parts.source, this.#parts.key);
    return this.#make({ ...this.#parts.machine, ...resources }, signal, (request) =>
      bootWithRetry(
        (timeoutMs) =>
          bootGuest(this.#parts.settings, {
            ...request,
            memory: { kind: 'private' },
            timeoutMs,
          }),
        request.signal,
      ),
    );
  }

  /** A VM that goes on where another was saved. Throws Conflict when this one could not. */
  async restore(saved: SavedVm, { statePath, disks, files }: RestoreSource): Promise<QemuVm> {
    if (saved.templateKey !== this.#parts.key) {
      throw new DaemonError(
        'Conflict',
        'the checkpoint was made under another version or machine of QEMU, kernel or agent',
      );
    }
    const { kernelHeadPath } = await this.ensureTemplate();
    const machine = { ...this.#parts.machine, ...saved.resources };
    const written = disks.filter(({ disk }) => !disk.readOnly);
    const give = ({ id, slot }: GuestRequest): void => {
      const owner = this.#ownerOf(slot);
      if (owner !== undefined)
        for (const { disk } of written) this.#diskAccess.give(disk.hostPath, id, owner);
    };
    const shares = await realShares(files?.shares ?? []);
    let fileServer: FileServer | undefined;
    const beforeState = async (runDir: string): Promise<void> => {
      if (files === undefined) return;
      fileServer = this.#fileServer(runDir);
      await fileServer.restore(shares, files.statePath);
    };
    try {
      return await this.#make(
        machine,
        undefined,
        (request) => {
          give(request);
          const plug = disks.flatMap(({ disk, lun }) => plugCommands(disk, lun));
          return restoreGuest(this.#parts.settings, {
            ...request,
            statePath,
            kernelHeadPath,
            plug,
            beforeState,
          });
        },
        {
          disks: Object.fromEntries(disks.map(({ disk, lun }) => [disk.id, lun])),
          diskPaths: Object.fromEntries(written.map(({ disk }) => [disk.id, disk.hostPath])),
          sharePaths: sharePathsOf(shares),
        },
        () => fileServer,
      );
    } catch (error) {
      fileServer?.forgetAll();
      throw error;
    }
  }

  /** What an earlier daemon has left, and is asked for an answer; see VmPool. Everything else in the directory is cleared away. */
  async recover(
    isUsed: (vmId: string) => boolean,
  ): Promise<{ found: FoundGuest[]; straysEnded: Promise<void> }> {
    await this.#sized.recover();
    const names = await readdir(this.#parts.settings.vmsDir);
    const looks = await Promise.all(names.map((name) => this.#look(name, isUsed)));
    // Those that are cleared away have a run directory until then: a killed daemon's seed is no stray.
    const cleared = looks.filter(({ pid }) => pid === undefined).map(({ found }) => found.answered);
    const straysEnded = Promise.all(cleared)
      .then(() => this.#endStrays(new Set(looks.flatMap(({ pid }) => pid ?? []))))
      .catch((error: unknown) => log.error('VMs without a run directory may run', { error }));
    return { found: looks.map(({ found }) => found), straysEnded };
  }

  /** Gives up what is under way; makes nothing more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#sized.stop();
    await this.#seed?.end();
  }

  async #findOrMakeTemplate(): Promise<Template> {
    const { settings, source, key, machine } = this.#parts;
    const template =
      (await findTemplate(source, key)) ??
      (await makeTemplate(settings, source, key, machine, {
        id: templateVmId,
        slot: templateSlot,
        signal: this.#stopping.signal,
      }));
    this.#templateReady = true;
    return template;
  }

  /** Looked at before each clone: a template that someone has written to must not spread. */
  async #intactTemplate(): Promise<Template> {
    await this.ensureTemplate();
    const template = await findTemplate(this.#parts.source, this.#parts.key);
    if (template !== undefined) return template;
    this.#template = undefined;
    this.#templateReady = false;
    await this.#seed?.end();
    this.#seed = undefined;
    return this.ensureTemplate();
  }

  async #make(
    machine: MachineSpec,
    signal: AbortSignal | undefined,
    bringUp: (request: GuestRequest) => Promise<RunningGuest>,
    plugged: Pick<VmRecord, 'disks' | 'diskPaths' | 'sharePaths'> = { disks: {} },
    fileServer: () => FileServer | undefined = () => undefined,
  ): Promise<QemuVm> {
    this.#throwIfOver(signal);
    const started = Date.now();
    const slot = this.#takeSlot();
    const id = randomBytes(6).toString('hex');
    const either = AbortSignal.any([this.#stopping.signal, ...(signal === undefined ? [] : [signal])]);
    let guest: RunningGuest | undefined;
    try {
      guest = await bringUp({ id, slot, machine, signal: either });
      await identifyGuest(guest.agent, randomBytes(16).toString('hex'));
      this.#throwIfOver(signal);
      const record: VmRecord = {
        id,
        slot,
        process: guest.process,
        templateKey: this.#parts.key,
        state: { kind: 'Idle' },
        used: false,
        resources: { memoryBytes: machine.memoryBytes, cpus: machine.cpus },
        nics: guest.nics,
        ...plugged,
      };
      await writeVmRecord(guest.runDir, record);
      log.debug('vm ready', { vmId: id, ms: Date.now() - started });
      return this.#adopt(record, guest, fileServer() ?? this.#fileServer(guest.runDir));
    } catch (error) {
      if (guest !== undefined) await discardGuest(guest);
      for (const path of Object.values(plugged.diskPaths ?? {})) this.#diskAccess.takeBack(path, id);
      this.#slots.delete(slot);
      this.#throwIfOver(signal); // rather than what giving up has led to
      throw error;
    }
  }

  /** `sharePaths`: what an earlier daemon has added. */
  #fileServer(runDir: string, sharePaths: VmRecord['sharePaths'] = {}): FileServer {
    return new FileServer(
      { nativeDir: this.#parts.settings.nativeDir, vmRunDir: runDir },
      this.#sharedPaths,
      sharePaths,
    );
  }

  #adopt(
    record: VmRecord,
    guest: { runDir: string; qmp: QmpClient; agent: AgentClient; exited?: Promise<string> },
    fileServer: FileServer,
  ): QemuVm {
    const { runDir, qmp, agent, exited } = guest;
    agent.bulk = new BulkDisk(join(runDir, bulkFileName));
    const owner = this.#ownerOf(record.slot);
    const vm = new QemuVm({
      record,
      runDir,
      qmp,
      agent,
      exited,
      fileServer,
      owner,
      diskAccess: this.#diskAccess,
    });
    void vm.ended.then(() => this.#slots.delete(record.slot));
    return vm;
  }

  /** The user that a VM's QEMU runs as; undefined: the daemon's own. */
  #ownerOf(slot: number): DiskOwner | undefined {
    const { uidBase } = this.#parts.settings;
    return uidBase === undefined ? undefined : { uid: vmUid(uidBase, slot), gid: vmGid(uidBase) };
  }

  /** What it holds is taken from now on, whether it answers or not. */
  async #look(
    name: string,
    isUsed: (vmId: string) => boolean,
  ): Promise<{ found: FoundGuest; pid: number | undefined }> {
    const runDir = join(this.#parts.settings.vmsDir, name);
    const record = await readVmRecord(runDir);
    const asRecorded = {
      id: name,
      state: record?.state ?? { kind: 'Idle' as const },
      disks: Object.keys(record?.disks ?? {}),
    };
    if (record === undefined || !(await isAlive(record.process, processName(record.id)))) {
      const answered = this.#clear(runDir, undefined);
      const end = async (): Promise<void> => {
        await answered;
      };
      return { found: { ...asRecorded, answered, hindrance: () => undefined, end }, pid: undefined };
    }
    this.#slots.add(record.slot);
    for (const path of Object.values(record.diskPaths ?? {})) this.#diskAccess.note(path, record.id);
    const isWanted = isUsed(record.id) || record.held === true;
    const way = new Reattachment({ record, runDir, isUsed: isWanted });
    const answered = this.#takeUp(record, runDir, way);
    const end = async (): Promise<void> => {
      await killProcess(record.process);
      await answered;
    };
    const {
      process: { pid },
      resources,
      used,
      held = false,
    } = record;
    const running = { pid, resources, used, held };
    return { found: { ...asRecorded, running, answered, hindrance: () => way.hindrance(), end }, pid };
  }

  /** Never rejects. For ever under way when this daemon ends before: it is the next one's then. */
  async #takeUp(
    record: VmRecord,
    runDir: string,
    way: Reattachment,
  ): Promise<{ vm: QemuVm; isFresh: boolean } | undefined> {
    const fileServer = this.#fileServer(runDir, record.sharePaths);
    try {
      const connections = await way.connect(this.#stopping.signal);
      const { pod, containers } = connections.agent.hello;
      const isFresh =
        record.templateKey === this.#parts.key &&
        isDeepStrictEqual(record.resources, this.resources) &&
        record.state.kind === 'Idle' &&
        !record.used &&
        record.held !== true &&
        // The last daemon may have been at its warm-up.
        !pod &&
        containers.length === 0 &&
        Object.keys(record.disks).length === 0;
      log.info('vm found again', { vmId: record.id, state: record.state.kind });
      return { vm: this.#adopt(record, { runDir, ...connections }, fileServer), isFresh };
    } catch (error) {
      if (this.#stopping.signal.aborted) return new Promise(() => undefined);
      log.warn('a vm of an earlier daemon is of no use and is ended', {
        vmId: record.id,
        error: errorMessage(error),
      });
      await this.#clear(runDir, record);
      fileServer.forgetAll();
      this.#slots.delete(record.slot);
      return undefined;
    }
  }

  /** As `#sweep`. Never rejects. */
  async #clear(runDir: string, record: VmRecord | undefined): Promise<undefined> {
    await this.#sweep(runDir, record).catch((error: unknown) =>
      log.error('a VM of an earlier daemon could not be cleared away', { runDir, error }),
    );
    for (const path of Object.values(record?.diskPaths ?? {}))
      this.#diskAccess.takeBack(path, record?.id ?? '');
    return undefined;
  }

  /** VMs that nobody could find by the run directory. Their file servers end with them. */
  async #endStrays(known: ReadonlySet<number>): Promise<void> {
    const { settings, source } = this.#parts;
    const { uidBase } = settings;
    const pids = await killStrays({
      programName: basename(await realpath(settings.qemuBinary)),
      directory: source.templatesDir,
      isOurUser: (uid) =>
        uidBase === undefined ? uid === process.getuid?.() : uid > uidBase && uid <= vmUid(uidBase, lastSlot),
      known,
      // Those of this daemon are younger than itself.
      startedBefore: await findProcess(process.pid),
    });
    if (pids.length > 0) log.warn('VMs without a run directory were ended', { pids });
  }

  /** Ends what is left of a VM: also one whose record was never written, which is known by its process's name. */
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

  #throwIfOver(signal: AbortSignal | undefined): void {
    if (this.#stopping.signal.aborted) throw new DaemonError('Unavailable', 'the daemon is shutting down');
    if (signal?.aborted === true) throw new DaemonError('Unavailable', 'the start was given up');
  }
}
