// The users of a data root's VMs and helpers: a range of uids of its own, so that two engines on one machine share none.

import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config';
import { makePrivateDirectory } from '../host/directories';
import { missingPrivilege } from '../host/privileges';
import { liveVmRecords } from '../vm/host/vm-record';

type Place = Pick<Config, 'dataRoot' | 'runDir' | 'vmUidBase'>;

const fileName = 'vm-uids';
const usersPerRange = 65_536;
/** The default is the first of them. The last one ends below 2^31, above which some programs take uids for negative. */
const ranges = 2_048;
/** Above those of VMs. */
const netdOffset = usersPerRange - 1;

/** The network helper's. */
export function netdUid({ vmUidBase }: Pick<Config, 'vmUidBase'>): number {
  return vmUidBase + netdOffset;
}

/** The range that the data root has; undefined: none was chosen yet. */
export async function knownVmUidBase({
  dataRoot,
  vmUidBase,
}: Omit<Place, 'runDir'>): Promise<number | undefined> {
  const base = Number(await readFile(join(dataRoot, fileName), 'utf8').catch(() => ''));
  const isOne =
    Number.isInteger(base) &&
    base >= vmUidBase &&
    base < vmUidBase + ranges * usersPerRange &&
    (base - vmUidBase) % usersPerRange === 0;
  return isOne ? base : undefined;
}

/** Sets `config`'s to the data root's range, which is chosen at its first start. */
export async function takeVmUsers(config: Place): Promise<void> {
  const base = (await knownVmUidBase(config)) ?? (await chooseBase(config));
  // The one place that writes it, before anything has read it.
  (config as { vmUidBase: number }).vmUidBase = base;
}

async function chooseBase({ dataRoot, runDir, vmUidBase }: Place): Promise<number> {
  // VMs of an earlier version go on, as the users that they are.
  if ((await liveVmRecords(join(runDir, 'vms'))).length > 0) return vmUidBase;
  const inUse = usersOfProcesses();
  for (let tries = 0; tries < 100; tries += 1) {
    const base = vmUidBase + randomInt(ranges) * usersPerRange;
    const isFree = ![...inUse].some((uid) => uid >= base && uid < base + usersPerRange);
    if (!isFree || missingPrivilege(base + netdOffset) !== undefined) continue;
    await makePrivateDirectory(dataRoot);
    await writeFile(join(dataRoot, fileName), String(base), { mode: 0o600 });
    return base;
  }
  return vmUidBase; // in a user namespace that has few
}

/** Another engine's VMs, as far as they run. */
function usersOfProcesses(): Set<number> {
  const users = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      users.add(statSync(`/proc/${name}`).uid);
      users.add(Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]));
    } catch {
      // it has ended
    }
  }
  return users;
}
