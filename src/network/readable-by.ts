// Whether an unprivileged user can reach a directory of the daemon's program.

import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** True if `uid` (which is in no group that matters) can read the directory `path` and search every one above it. */
export function readableBy(path: string, uid: number): boolean {
  for (let current = path; ; current = dirname(current)) {
    const { mode, uid: owner } = statSync(current);
    const needed = current === path ? 0o5 : 0o1;
    if (((owner === uid ? mode >> 6 : mode) & needed) !== needed) return false;
    if (current === dirname(current)) return true;
  }
}
