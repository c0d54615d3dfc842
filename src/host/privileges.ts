// What the daemon itself needs to be: root, with users to give to its VMs.

import { readFileSync } from 'node:fs';
import { isMapped } from './uid-map';

/** Why this process cannot be the daemon; undefined: it can. `vmUidBase`: the first of the users that VMs run as. */
export function missingPrivilege(
  vmUidBase: number,
  uid = process.getuid?.(),
  uidMap = readFileSync('/proc/self/uid_map', 'utf8'),
): string | undefined {
  if (uid !== 0) return 'not root';
  return isMapped(uidMap, vmUidBase)
    ? undefined
    : `root in a user namespace that has no user ${vmUidBase}: VMs run as users of their own`;
}
