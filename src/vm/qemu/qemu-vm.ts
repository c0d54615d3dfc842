// qemu/: a VM as a QEMU process.
//
// A VM that is a QEMU process: implements Vm over QMP and the agent's port.

import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { settlesWithin } from '../../async/deadline';
import { DaemonError, errorMessage } from '../../errors';
import { makePassableDirectory } from '../../host/directories';
import { log } from '../../log';
import type { Agent } from '../contract/agent';
import type { AgentClient } from '../agent/agent-client';
import { ProtocolError } from '../agent/frame';
import type { DiskAccess, DiskOwner } from '../host/disk-access';
import { realShares, sharePathsOf, type FileServer } from '../file-server/file-server';
import {
  findProcess,
  isStopped,
  killProcess,
  stoppedProcess,
  waitUntilGone,
  type HostProcess,
} from '../host/host-process';
import type { SavedVm, Vm, VmDisk, VmEnd, VmNic, VmResources, FileShare } from '../contract/vm';
import { vmRecordName, writeVmRecord, type VmRecord } from '../host/vm-record';
import { nextVmState, type VmEvent, type VmState } from '../contract/vm-state';
import { consoleBytes, consoleChardev } from './command-line';
import { formatNode, isHeldByAnother, plugCommands, removeDisks } from './disks';
import { HostDiskFull } from './host-disk-full';
import type { QmpClient } from './qmp-client';
import { saveState } from './save-state';

/** LUNs of one SCSI target; Linux decodes higher ones wrongly in the hot-plug event. */
const maxDisks = 255;
/** Between the end of the agent's port and that of QEMU's monitor, when QEMU goes. If it is longer, only the words differ. */
const agentGraceMs = 1000;
/** All of a guest's memory is looked at. */
const saveTimeoutMs = 120_000;
/** Of the console, in the log after a guest's end. */
const lastWordsBytes = 2000;

export interface QemuVmParts {
  record: VmRecord;
  runDir: string;
  qmp: QmpClient;
  agent: AgentClient;
  fileServer: FileServer;
  /** The user that QEMU runs as, who must be able to open what is plugged. Undefined: the daemon's own. */
  owner: DiskOwner | undefined;
  diskAccess: DiskAccess;
  /** What QEMU said at its end; undefined when an earlier daemon started it. */
  exited: Promise<string> | undefined;
}

export class QemuVm implements Vm {
  readonly ended: Promise<VmEnd>;
  readonly fileServer: FileServer;
  readonly #parts: QemuVmParts;
  #record: VmRecord;
  /**
   * Where the next disk goes: on to the end before any place is used again. A busy guest that misses the event of a removal
   * would take the next disk there for the one before, with what it has read of that.
   */
  #nextLun: number;
  #requested = false;
  #detached = false;
  /** QEMU has ended, and what is left is cleared away. */
  #isGone = false;
  /** Why the guest is at its end, if that is where it began. */
  #guestReason: string | undefined;
  #console = '';
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: QemuVmParts) {
    this.#parts = parts;
    this.#record = parts.record;
    this.#nextLun = 1 + Math.max(-1, ...Object.values(parts.record.disks));
    this.fileServer = parts.fileServer;
    parts.agent.hindrance = () => this.hindrance();
    for (const path of Object.values(parts.record.diskPaths ?? {}))
      parts.diskAccess.note(path, parts.record.id);
    const diskFull = new HostDiskFull(parts.record.id, parts.qmp);
    parts.qmp.onEvent((event) => {
      diskFull.onEvent(event);
      // QEMU waits, stopped (-action shutdown=pause).
      if (event.event === 'SHUTDOWN') void this.#endByGuest(String(event.data['reason']));
    });
    void diskFull.check().catch((error: unknown) => log.debug('state of a VM', { vmId: this.id, error }));
    void this.#watchAgent();
    this.ended = this.#watch();
    void this.ended.then(() => {
      diskFull.close();
      this.fileServer.forgetAll();
    });
  }

  get id(): string {
    return this.#record.id;
  }

  get slot(): number {
    return this.#record.slot;
  }

  get pid(): number {
    return this.#record.process.pid;
  }

  get process(): HostProcess {
    return this.#record.process;
  }

  get runDir(): string {
    return this.#parts.runDir;
  }

  get state(): VmState {
    return this.#record.state;
  }

  get used(): boolean {
    return this.#record.used;
  }

  get held(): boolean {
    return this.#record.held ?? false;
  }

  get resources(): VmResources {
    return this.#record.resources;
  }

  get nics(): readonly VmNic[] {
    return this.#record.nics;
  }

  get templateKey(): string {
    return this.#record.templateKey;
  }

  get agent(): Agent {
    return this.#parts.agent;
  }

  async hindrance(): Promise<string | undefined> {
    return (await isStopped(this.#record.process)) ? stoppedProcess : undefined;
  }

  async associate(podId: string): Promise<void> {
    this.#step({ kind: 'associate', podId }, { used: true, held: false });
    await this.#save();
  }

  async release({ hold }: { hold: boolean }): Promise<void> {
    await this.fileServer.removeAll();
    this.#step({ kind: 'release' }, { held: hold, sharePaths: {} });
    // The next daemon ends it all the same where nobody holds it, and finds no container in it.
    if (hold) await this.#save();
  }

  async hold(): Promise<void> {
    this.#record = { ...this.#record, held: true };
    await this.#save();
  }

  pluggedDisks(): ReadonlyMap<string, number> {
    return new Map(Object.entries(this.#record.disks));
  }

  async plugDisks(disks: readonly VmDisk[]): Promise<number[]> {
    const taken = new Set(Object.values(this.#record.disks));
    const luns: number[] = [];
    for (const disk of disks) {
      if (disk.id in this.#record.disks)
        throw new DaemonError('Conflict', `disk ${disk.id} is plugged already`);
      if (taken.size >= maxDisks)
        throw new DaemonError('Unavailable', `a VM can't have more than ${maxDisks} disks`);
      while (taken.has(this.#nextLun % maxDisks)) this.#nextLun += 1;
      const lun = this.#nextLun % maxDisks;
      this.#nextLun += 1;
      taken.add(lun);
      luns.push(lun);
    }
    const { owner, qmp, diskAccess } = this.#parts;
    const written = disks.filter((disk) => !disk.readOnly);
    if (owner !== undefined) for (const disk of written) diskAccess.give(disk.hostPath, this.id, owner);
    const added = Object.fromEntries(disks.map((disk, index) => [disk.id, luns[index] ?? 0]));
    const paths = Object.fromEntries(written.map((disk) => [disk.id, disk.hostPath]));
    // Recorded first: a daemon that dies in between finds a LUN too many, never one that it doesn't know of.
    this.#record = {
      ...this.#record,
      disks: { ...this.#record.disks, ...added },
      diskPaths: { ...this.#record.diskPaths, ...paths },
    };
    const saved = this.#save();
    try {
      await qmp.executeAll(disks.flatMap((disk, index) => plugCommands(disk, luns[index] ?? 0)));
    } catch (error) {
      // With QEMU everything that was plugged is gone; its end gives the disks back.
      if (!qmp.isOver)
        await this.unplugDisks(disks.map((disk) => disk.id)).catch((cleanup: unknown) => {
          if (!qmp.isOver)
            log.warn('disks stay half plugged', { vmId: this.id, error: errorMessage(cleanup) });
        });
      throw isHeldByAnother(error)
        ? new DaemonError('Conflict', errorMessage(error), { cause: error })
        : error;
    }
    await saved;
    return luns;
  }

  async unplugDisks(ids: readonly string[]): Promise<void> {
    const known = ids.filter((id) => this.#record.disks[id] !== undefined);
    await removeDisks(
      this.#parts.qmp,
      known.map((id) => this.#record.disks[id] ?? 0),
    );
    const others = <Value>(values: Record<string, Value>): Record<string, Value> =>
      Object.fromEntries(Object.entries(values).filter(([id]) => !known.includes(id)));
    for (const id of known) this.#takeBack(id);
    this.#record = {
      ...this.#record,
      disks: others(this.#record.disks),
      diskPaths: others(this.#record.diskPaths ?? {}),
    };
    await this.#save();
  }

  async shareFiles(shares: readonly FileShare[]): Promise<void> {
    const real = await realShares(shares);
    const added = sharePathsOf(real);
    this.#record = { ...this.#record, sharePaths: { ...this.#record.sharePaths, ...added } };
    const saved = this.#save();
    await this.fileServer.add(real);
    await saved;
    await this.#parts.agent.request('shares.mount', {});
  }

  async unshareFiles(prefix: string): Promise<void> {
    const all = Object.entries(this.#record.sharePaths ?? {});
    const taken = all.filter(([name]) => name.startsWith(prefix)).map(([name]) => name);
    if (taken.length === 0) return;
    await this.fileServer.remove(taken);
    const sharePaths = Object.fromEntries(all.filter(([name]) => !taken.includes(name)));
    this.#record = { ...this.#record, sharePaths };
    await this.#save();
  }

  get sharesFiles(): boolean {
    return Object.keys(this.#record.sharePaths ?? {}).length > 0;
  }

  protectShares(names: readonly string[]): Promise<void> {
    return this.fileServer.protect(names);
  }

  async resizeDisk(id: string, sizeBytes: number): Promise<void> {
    const lun = this.#record.disks[id];
    if (lun === undefined) throw new DaemonError('NotFound', `disk ${id} is not plugged`);
    await this.#parts.qmp.execute('block_resize', { 'node-name': formatNode(lun), size: sizeBytes });
  }

  async pause(): Promise<void> {
    await this.#parts.qmp.execute('stop');
  }

  async resume(): Promise<void> {
    await this.#parts.qmp.execute('cont');
  }

  async save(statePath: string, filesPath: string): Promise<SavedVm> {
    const { qmp, runDir, owner } = this.#parts;
    const { templateKey, resources, disks } = this.#record;
    const { sharesFiles } = this;
    const held = sharesFiles ? await this.fileServer.hold() : undefined;
    try {
      await saveState({ qmp, runDir }, statePath, {
        owner,
        withMemory: true,
        timeoutMs: saveTimeoutMs,
        whenStopped: async () => held?.save(filesPath),
      });
    } finally {
      held?.release();
    }
    return { templateKey, resources, disks, sharesFiles };
  }

  async readConsole(): Promise<string> {
    try {
      const text = await this.#parts.qmp.execute('ringbuf-read', {
        device: consoleChardev,
        size: consoleBytes,
      });
      // Reading empties the buffer.
      this.#console = (this.#console + String(text)).slice(-consoleBytes);
    } catch {
      // QEMU is gone: what was read before is all there is.
    }
    return this.#console;
  }

  async end(): Promise<void> {
    this.#requested = true;
    await killProcess(this.#record.process);
    await this.ended;
  }

  /** Stops it for good, with nobody connected: a clone of what it is now finds the port as one that was never used. */
  async freeze(): Promise<void> {
    this.#detached = true;
    this.#parts.agent.disconnect();
    await this.#parts.qmp.execute('stop');
    this.#parts.qmp.close();
    await this.#writing;
  }

  /** Lets the VM live on without this daemon. */
  detach(): void {
    this.#detached = true;
    this.#parts.agent.disconnect();
    this.#parts.qmp.close();
  }

  #step(event: VmEvent, changes: Partial<VmRecord>): void {
    const state = nextVmState(this.#record.state, event);
    if (state === undefined) {
      throw new DaemonError(
        'Conflict',
        `VM ${this.id} is ${this.#record.state.kind} and can't ${event.kind}`,
      );
    }
    this.#record = { ...this.#record, ...changes, state };
  }

  async keepRecord(): Promise<boolean> {
    const { runDir, owner } = this.#parts;
    if (this.#isGone || existsSync(join(runDir, vmRecordName))) return false;
    await makePassableDirectory(runDir, owner?.gid);
    await this.#save();
    return true;
  }

  /** Writes one after the other, always the newest record. */
  #save(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(() => writeVmRecord(this.#parts.runDir, this.#record));
    return this.#writing;
  }

  /** A VM whose agent has broken the protocol, or let go of its port, is of no more use. */
  async #watchAgent(): Promise<void> {
    const error = await this.#parts.agent.closed;
    if (!(error.cause instanceof ProtocolError)) {
      // QEMU's own end closes the monitor as well, at about the same time.
      if (await settlesWithin(this.#parts.qmp.closed, agentGraceMs)) return;
    }
    await this.#endByGuest(error.message);
  }

  #takeBack(diskId: string): void {
    const path = this.#record.diskPaths?.[diskId];
    const { owner, diskAccess } = this.#parts;
    if (path !== undefined && owner !== undefined) diskAccess.takeBack(path, this.id);
  }

  /** The guest is at its end, while QEMU may live on: its console is read, then QEMU is killed. Never rejects. */
  async #endByGuest(reason: string): Promise<void> {
    if (this.#detached || this.#requested || this.#guestReason !== undefined) return;
    this.#guestReason = reason;
    const text = await this.readConsole();
    const panic = /Kernel panic - not syncing: ([ -~]{1,200})/.exec(text)?.[1];
    if (panic !== undefined) this.#guestReason = `kernel panic: ${panic}`;
    log.debug('guest console', { vmId: this.id, text: text.slice(-lastWordsBytes) });
    await killProcess(this.#record.process).catch((error: unknown) =>
      log.error('a vm could not be killed', { vmId: this.id, error }),
    );
  }

  async #watch(): Promise<VmEnd> {
    const { qmp, agent, runDir } = this.#parts;
    await qmp.closed;
    this.#isGone = true;
    if (this.#detached) return new Promise(() => undefined); // its end is somebody else's to see
    // QEMU closes its monitor a little before it is gone; one that hangs there is killed.
    const timer = setTimeout(() => void killProcess(this.#record.process), 2000);
    await waitUntilGone(this.#record.process);
    clearTimeout(timer);
    agent.disconnect();
    const end = await this.#describeEnd();
    if (end.cause !== 'requested')
      log.warn('vm ended', { vmId: this.id, cause: end.cause, message: end.message });
    const serverPid = await this.fileServer.pid();
    const server = serverPid === undefined ? undefined : await findProcess(serverPid);
    if (server !== undefined) await killProcess(server);
    await this.#writing.catch(() => undefined);
    for (const id of Object.keys(this.#record.diskPaths ?? {})) this.#takeBack(id);
    await rm(runDir, { recursive: true, force: true });
    return end;
  }

  async #describeEnd(): Promise<VmEnd> {
    if (this.#requested) return { cause: 'requested', message: 'the VM was ended' };
    if (this.#guestReason !== undefined) {
      return { cause: 'guest', message: `the guest ended its VM (${this.#guestReason})` };
    }
    const said = await this.#parts.exited;
    return { cause: 'crashed', message: said ?? 'QEMU ended unexpectedly' };
  }
}
