// `--pidfile`: where scripts look for the daemon's pid.

import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DaemonError } from '../errors';
import { makeOpenDirectory } from '../host/directories';
import { findProcess } from '../vm/host/host-process';

/**
 * Writes our pid. Throws Conflict, in dockerd's words, if the file names a process that lives, InvalidParameter if it is none. Returns
 * what removes it. A character device stays as it is: `/dev/null` asks for no file.
 */
export async function writePidFile(path: string): Promise<() => Promise<void>> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isCharacterDevice() === true) return () => Promise.resolve();
  if (found?.isFile() === false) throw new DaemonError('InvalidParameter', `--pidfile ${path} is no file`);
  const known = Number(await readFile(path, 'utf8').catch(() => ''));
  if (known > 0 && known !== process.pid && (await findProcess(known)) !== undefined) {
    throw new DaemonError(
      'Conflict',
      `pid file found, ensure docker is not running or delete ${path} (pid ${known})`,
    );
  }
  await makeOpenDirectory(dirname(path));
  await writeFile(path, `${process.pid}`);
  await chmod(path, 0o644);
  return () => rm(path, { force: true });
}
