// Which VM may open which writable disk. A disk belongs to its VM's user while it is plugged and to the daemon
// otherwise: users are numbered by slot and used again, and a later VM must not find the disks of an earlier one.

import { chownSync } from 'node:fs';
import { systemErrorCode } from '../../errors';

export interface DiskOwner {
  uid: number;
  gid: number;
}

/** One for all VMs of a factory. */
export class DiskAccess {
  /** VM by path. A container that is started again may get its disk before its last VM is cleaned up. */
  readonly #holders = new Map<string, string>();

  /** Synchronous, as is `takeBack`: the two never overtake each other. */
  give(path: string, vmId: string, owner: DiskOwner): void {
    chownSync(path, owner.uid, owner.gid);
    this.#holders.set(path, vmId);
  }

  /** For a VM of an earlier daemon, which has the disk already. */
  note(path: string, vmId: string): void {
    this.#holders.set(path, vmId);
  }

  /** Unless it is another VM's by now, or gone. */
  takeBack(path: string, vmId: string): void {
    if (this.#holders.get(path) !== vmId) return;
    this.#holders.delete(path);
    try {
      chownSync(path, process.getuid?.() ?? 0, process.getgid?.() ?? 0);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
  }
}
