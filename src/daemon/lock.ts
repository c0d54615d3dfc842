// One daemon for each data root: two would write the same records and disks.

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DaemonError, systemErrorCode } from '../errors';
import { findProcess, isAlive, type HostProcess } from '../vm/host/host-process';

/** Takes the data root. Throws Conflict naming the pid of the daemon that has it. Returns what gives it back. */
export async function lockDataRoot(dataRoot: string): Promise<() => Promise<void>> {
  const path = join(dataRoot, 'daemon.json');
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
      throw new DaemonError('Conflict', `another daemon (pid ${holder.pid}) uses ${dataRoot}: stop it first`);
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
