// One daemon for each data root and each run directory: two would write the same records and disks, end each other's VMs and
// take each other's network away.

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config';
import { DaemonError, systemErrorCode } from '../errors';
import { findProcess, isAlive, type HostProcess } from '../vm/host/host-process';
import { liveVmRecords } from '../vm/host/vm-record';

type Unlock = () => Promise<void>;

/** Takes the data root. Throws Conflict naming the pid of the daemon that has it. Returns what gives it back. */
export function lockDataRoot(dataRoot: string): Promise<Unlock> {
  return lock(dataRoot);
}

/**
 * Takes the run directory, for this data root. Throws Conflict when another daemon has it, or has left VMs of another data root
 * there. Returns what gives it back.
 */
export async function lockRunDir({ runDir, dataRoot }: Pick<Config, 'runDir' | 'dataRoot'>): Promise<Unlock> {
  const unlock = runDir === dataRoot ? () => Promise.resolve() : await lock(runDir);
  try {
    const path = join(runDir, 'data-root');
    const before = await readFile(path, 'utf8').catch(() => dataRoot);
    const left = before === dataRoot ? [] : await liveVmRecords(join(runDir, 'vms'));
    if (left.length > 0) {
      throw new DaemonError(
        'Conflict',
        `${runDir} is the run directory of ${left.length} VMs of the data root ${before}: choose another one, or stop those`,
      );
    }
    await writeFile(path, dataRoot);
  } catch (error) {
    await unlock();
    throw error;
  }
  return unlock;
}

async function lock(directory: string): Promise<Unlock> {
  const path = join(directory, 'daemon.json');
  const self = await findProcess(process.pid);
  for (;;) {
    try {
      await writeFile(path, JSON.stringify(self), { flag: 'wx', mode: 0o600 });
      return () => rm(path, { force: true });
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') {
        if (systemErrorCode(error) === 'ENOSPC') await rm(path, { force: true }); // there, and empty
        throw error;
      }
    }
    const holder = await readHolder(path);
    if (holder !== undefined && (await isAlive(holder))) {
      throw new DaemonError(
        'Conflict',
        `another daemon (pid ${holder.pid}) uses ${directory}: stop it first`,
      );
    }
    await rm(path, { force: true }); // of a daemon that was killed
  }
}

async function readHolder(path: string): Promise<HostProcess | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as HostProcess;
  } catch {
    return undefined;
  }
}
