// The daemon's two directories, and who may pass them. docs/storage-layout.md has the table of all that is in them.

import { chmod, lstat, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../config';
import { DaemonError } from '../errors';
import { makePassableDirectory, makeRunDirectory } from '../host/directories';
import { vmGid } from '../vm/qemu/launch';

type Roots = Pick<Config, 'dataRoot' | 'runDir' | 'vmUidBase'>;

/**
 * Makes them, or mends those of an earlier version. Through the data root come root and the VMs' users; the run directory
 * is passed by whoever may connect to a socket in it. Throws Forbidden when VMs can't reach them.
 */
export async function makeRootDirectories({ dataRoot, runDir, vmUidBase }: Roots): Promise<void> {
  await makeRunDirectory(runDir);
  await makePassableDirectory(dataRoot, vmGid(vmUidBase));
  for (const name of await readdir(dataRoot)) {
    const path = join(dataRoot, name);
    if ((await lstat(path)).isFile()) await chmod(path, 0o600);
  }
  await requireReachable([dataRoot, runDir]);
}

/** VMs run as users of their own: they must get through every directory above their files. */
async function requireReachable(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    for (let directory = dirname(path); directory !== dirname(directory); directory = dirname(directory)) {
      const { mode } = await stat(directory);
      if ((mode & 0o001) === 0) {
        throw new DaemonError(
          'Forbidden',
          `${path} can't be used: virtual machines run as unprivileged users and may not pass ${directory}. ` +
            `Run "chmod o+x ${directory}" or choose another directory.`,
        );
      }
    }
  }
}
