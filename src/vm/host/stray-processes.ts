// QEMUs of a data root that no run directory tells of: somebody has removed it, as cleaners of temporary files do. They go
// on writing to a container's disk, and nobody could stop them.

import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { findProcess, killProcess, type HostProcess } from './host-process';

export interface StraySearch {
  /** Of QEMU. */
  programName: string;
  /** A directory that each of them was told a file of. */
  directory: string;
  /** Users that they run as. */
  isOurUser: (uid: number) => boolean;
  /** Those that are known. */
  known: ReadonlySet<number>;
  /** Who is younger is none. */
  startedBefore: HostProcess | undefined;
}

/** Kills them. Resolves with their pids when they are gone. */
export async function killStrays(search: StraySearch): Promise<number[]> {
  const strays = (await Promise.all((await readdir('/proc')).map((name) => strayOf(name, search)))).flatMap(
    (found) => found ?? [],
  );
  await Promise.all(strays.map(killProcess));
  return strays.map(({ pid }) => pid);
}

async function strayOf(name: string, search: StraySearch): Promise<HostProcess | undefined> {
  const pid = Number(name);
  if (!/^\d+$/.test(name) || pid === process.pid || search.known.has(pid)) return undefined;
  try {
    const found = await findProcess(pid);
    if (found === undefined || !isOlder(found, search.startedBefore)) return undefined;
    const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    if (!args.some((arg) => namesFileIn(arg, search.directory))) return undefined;
    const program = basename((await readlink(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, ''));
    const uid = Number(/^Uid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
    if (program !== search.programName || !search.isOurUser(uid)) return undefined;
    return (await seesSame(pid, search.directory)) ? found : undefined;
  } catch {
    return undefined; // it has ended
  }
}

function isOlder({ startTicks }: HostProcess, other: HostProcess | undefined): boolean {
  return other === undefined || Number(startTicks) < Number(other.startTicks);
}

/** `PATH/…`, or `option=PATH/…` among others. */
function namesFileIn(arg: string, directory: string): boolean {
  return arg.split(/[=,]/).some((part) => part.startsWith(`${directory}/`));
}

/** Whether the path is the same directory to that process: an engine in a container may have its own by that name. */
async function seesSame(pid: number, path: string): Promise<boolean> {
  const [theirs, ours] = await Promise.all([stat(`/proc/${pid}/root${path}`), stat(path)]);
  return theirs.ino === ours.ino && theirs.dev === ours.dev;
}
