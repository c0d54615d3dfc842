// Which user netd may run as: one without rights, where the program can be read by it.

import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMapped } from '../host/uid-map';

/** `wanted`, if the daemon is root, the user exists in this user namespace and can read `script`; else 0, the daemon's own. */
export function helperUid(script: string, wanted: number): number {
  if (process.getuid?.() !== 0) return 0;
  if (!isMapped(readFileSync('/proc/self/uid_map', 'utf8'), wanted)) return 0;
  return readableBy(dirname(dirname(script)), wanted) ? wanted : 0;
}

/** True if `uid` (which is in no group that matters) can read the directory `path` and search every one above it. */
function readableBy(path: string, uid: number): boolean {
  for (let current = path; ; current = dirname(current)) {
    const { mode, uid: owner } = statSync(current);
    const needed = current === path ? 0o5 : 0o1;
    if (((owner === uid ? mode >> 6 : mode) & needed) !== needed) return false;
    if (current === dirname(current)) return true;
  }
}
