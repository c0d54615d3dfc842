// A VM that is a QEMU process: implements Vm over QMP and the agent's port.

import { chown, rm } from 'node:fs/promises';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import type { Agent } from '../agent/agent';
import type { AgentClient } from '../agent/agent-client';
import { FileServer, type FileShare } from '../file-server';
import { findProcess, killProcess, waitUntilGone } from '../host-process';
import type { Vm, VmDisk, VmEnd, VmNic, VmResources } from '../vm';
import { writeVmRecord, type VmRecord } from '../vm-record';
import { nextVmState, type VmEvent, type VmState } from '../vm-state';
import { consoleBytes, consoleChardev, scsiController } from './command-line';
import type { QmpClient, QmpCommand } from './qmp-client';

/** LUNs of one SCSI target; Linux decodes higher ones wrongly in the hot-plug event. */
const maxDisks = 255;
const unplugTimeoutMs = 5000;

export interface QemuVmParts {
  record: VmRecord;
  runDir: string;
  qmp: QmpClient;
  agent: AgentClient;
  fileServerBinary: string;
  /** The user that QEMU runs as, who must be able to open what is plugged. Undefined: the daemon's own. */
  owner: { uid: number; gid: number } | undefined;
  /** Frees what the pool holds for the VM. */
  onEnded: (vm: QemuVm, end: VmEnd) => void;
}

export class QemuVm implements Vm {
  readonly ended: Promise<VmEnd>;
  readonly fileServer: FileServer;
  readonly #parts: QemuVmParts;
  #record: VmRecord;
  #requested = false;
  #detached = false;
  #guestReason: string | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: QemuVmParts) {
    this.#parts = parts;
    this.#record = parts.record;
    this.fileServer = new FileServer({ binary: parts.fileServerBinary, vmRunDir: parts.runDir });
    parts.qmp.onEvent((event) => {
      if (event.event === 'SHUTDOWN' && event.data['guest'] === true) {
        this.#guestReason = String(event.data['reason']);
      }
    });
    this.ended = this.#watch();
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

  get state(): VmState {
    return this.#record.state;
  }

  get used(): boolean {
    return this.#record.used;
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

  async associate(podId: string): Promise<void> {
    this.#step({ kind: 'associate', podId }, { used: true });
    await this.#save();
  }

  async release(): Promise<void> {
    this.#step({ kind: 'release' }, {});
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
      let lun = 0;
      while (taken.has(lun)) lun += 1;
      if (lun >= maxDisks)
        throw new DaemonError('Unavailable', `a VM can't have more than ${maxDisks} disks`);
      taken.add(lun);
      luns.push(lun);
    }
    const { owner } = this.#parts;
    if (owner !== undefined) {
      const writable = disks.filter((disk) => !disk.readOnly);
      await Promise.all(writable.map((disk) => chown(disk.hostPath, owner.uid, owner.gid)));
    }
    const added = Object.fromEntries(disks.map((disk, index) => [disk.id, luns[index] ?? 0]));
    // Recorded first: a daemon that dies in between finds a LUN too many, never one that it doesn't know of.
    this.#record = { ...this.#record, disks: { ...this.#record.disks, ...added } };
    const saved = this.#save();
    await this.#parts.qmp.executeAll(disks.flatMap((disk, index) => plugCommands(disk, luns[index] ?? 0)));
    await saved;
    return luns;
  }

  async unplugDisks(ids: readonly string[]): Promise<void> {
    const { qmp } = this.#parts;
    for (const id of ids) {
      const lun = this.#record.disks[id];
      if (lun === undefined) continue;
      const deleted = this.#waitForDeletion(`disk${lun}`);
      await qmp.execute('device_del', { id: `disk${lun}` });
      await deleted;
      await qmp.executeAll([
        { execute: 'blockdev-del', arguments: { 'node-name': `format${lun}` } },
        { execute: 'blockdev-del', arguments: { 'node-name': `file${lun}` } },
      ]);
      const disks = Object.fromEntries(Object.entries(this.#record.disks).filter(([other]) => other !== id));
      this.#record = { ...this.#record, disks };
      await this.#save();
    }
  }

  async shareFiles(shares: readonly FileShare[]): Promise<void> {
    await this.fileServer.add(shares);
    await this.#parts.agent.request('shares.mount', {});
  }

  async resizeDisk(id: string, sizeBytes: number): Promise<void> {
    const lun = this.#record.disks[id];
    if (lun === undefined) throw new DaemonError('NotFound', `disk ${id} is not plugged`);
    await this.#parts.qmp.execute('block_resize', { 'node-name': `format${lun}`, size: sizeBytes });
  }

  async pause(): Promise<void> {
    await this.#parts.qmp.execute('stop');
  }

  async resume(): Promise<void> {
    await this.#parts.qmp.execute('cont');
  }

  async readConsole(): Promise<string> {
    try {
      const text = await this.#parts.qmp.execute('ringbuf-read', {
        device: consoleChardev,
        size: consoleBytes,
      });
      return String(text);
    } catch {
      return '';
    }
  }

  async end(): Promise<void> {
    this.#requested = true;
    await killProcess(this.#record.process);
    await this.ended;
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

  /** Writes one after the other, always the newest record. */
  #save(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(() => writeVmRecord(this.#parts.runDir, this.#record));
    return this.#writing;
  }

  #waitForDeletion(device: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        stop();
        reject(
          new DaemonError('Unavailable', `the guest has not let go of ${device} for ${unplugTimeoutMs} ms`),
        );
      }, unplugTimeoutMs);
      const stop = this.#parts.qmp.onEvent((event) => {
        if (event.event !== 'DEVICE_DELETED' || event.data['device'] !== device) return;
        clearTimeout(timer);
        stop();
        resolve();
      });
    });
  }

  async #watch(): Promise<VmEnd> {
    const { qmp, agent, runDir } = this.#parts;
    await qmp.closed;
    if (this.#detached) return new Promise(() => undefined); // its end is somebody else's to see
    // QEMU closes its monitor a little before it is gone; one that hangs there is killed.
    const timer = setTimeout(() => void killProcess(this.#record.process), 2000);
    await waitUntilGone(this.#record.process);
    clearTimeout(timer);
    agent.disconnect();
    const end = this.#describeEnd();
    if (end.cause !== 'requested')
      log.warn('vm ended', { vmId: this.id, cause: end.cause, message: end.message });
    const serverPid = await this.fileServer.pid();
    const server = serverPid === undefined ? undefined : await findProcess(serverPid);
    if (server !== undefined) await killProcess(server);
    await this.#writing.catch(() => undefined);
    await rm(runDir, { recursive: true, force: true });
    this.#parts.onEnded(this, end);
    return end;
  }

  #describeEnd(): VmEnd {
    if (this.#requested) return { cause: 'requested', message: 'the VM was ended' };
    if (this.#guestReason !== undefined) {
      return { cause: 'guest', message: `the guest ended its VM (${this.#guestReason})` };
    }
    return { cause: 'crashed', message: 'QEMU ended unexpectedly' };
  }
}

/** blockdev nodes and device of one disk. Names come from the LUN: ids of containers are longer than QEMU allows. */
function plugCommands(disk: VmDisk, lun: number): QmpCommand[] {
  const cache = { direct: false, 'no-flush': !disk.durable };
  const access = disk.readOnly
    ? { 'read-only': true }
    : { 'read-only': false, discard: 'unmap', 'detect-zeroes': 'unmap' };
  return [
    {
      execute: 'blockdev-add',
      arguments: {
        driver: 'file',
        'node-name': `file${lun}`,
        filename: disk.hostPath,
        aio: 'threads',
        // Layers are shared by many VMs; a container's own disk has one user, and QEMU sees to that.
        ...(disk.readOnly ? { locking: 'off' } : {}),
        cache,
        ...access,
      },
    },
    {
      execute: 'blockdev-add',
      arguments: { driver: disk.format, 'node-name': `format${lun}`, file: `file${lun}`, cache, ...access },
    },
    {
      execute: 'device_add',
      arguments: {
        driver: 'scsi-hd',
        id: `disk${lun}`,
        bus: `${scsiController}.0`,
        channel: 0,
        'scsi-id': 0,
        lun,
        drive: `format${lun}`,
      },
    },
  ];
}
