// host/: files and processes of a VM on the host.
//
// vm.json in a VM's run directory: what a new daemon must know to take the VM over.

import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, type HostProcess } from './host-process';
import type { VmNic, VmResources } from '../contract/vm';
import type { VmState } from '../contract/vm-state';

export const vmRecordName = 'vm.json';

export interface VmRecord {
  id: string;
  /** Decides on the uid and the names of the taps. */
  slot: number;
  process: HostProcess;
  /** Key of the template it is a clone of (or would be). */
  templateKey: string;
  state: VmState;
  used: boolean;
  /** Kept by a user's wish. */
  held?: boolean;
  /** Host path by name of what its file server shares; they are taken away when a kept VM is reset. */
  sharePaths?: Record<string, string>;
  resources: VmResources;
  nics: VmNic[];
  /** LUN by disk id. */
  disks: Record<string, number>;
  /** Host path by disk id, of those that are written to: the VM's user owns them for the time. */
  diskPaths?: Record<string, string>;
}

/** Atomic: a reader sees the old or the new record. */
export async function writeVmRecord(runDir: string, record: VmRecord): Promise<void> {
  const path = join(runDir, vmRecordName);
  await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Of the VMs in this directory whose QEMU runs, whoever started them. */
export async function liveVmRecords(vmsDir: string): Promise<VmRecord[]> {
  const names = await readdir(vmsDir).catch(() => []);
  const records = await Promise.all(names.map((name) => readVmRecord(join(vmsDir, name))));
  const known = records.filter((record) => record !== undefined);
  const alive = await Promise.all(known.map(({ process }) => isAlive(process)));
  return known.filter((_, index) => alive[index]);
}

/** Undefined when there is none, or one that can't be read: the VM never got that far. */
export async function readVmRecord(runDir: string): Promise<VmRecord | undefined> {
  try {
    // Our own file, in a directory of ours; a damaged one is as good as none.
    return JSON.parse(await readFile(join(runDir, vmRecordName), 'utf8')) as VmRecord;
  } catch {
    return undefined;
  }
}
