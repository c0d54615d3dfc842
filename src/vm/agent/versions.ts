// Which version of the protocol a connection speaks: the newest that both sides know. So a daemon takes over VMs that another
// release has started, as long as it still knows what their agents say.

import { DaemonError } from '../../errors';
import { oldestProtocolVersion, protocolVersion } from '../contract/protocol';

export interface VersionRange {
  oldest: number;
  newest: number;
}

export const ourVersions: VersionRange = { oldest: oldestProtocolVersion, newest: protocolVersion };

/** `theirs` as an agent says it in HELLO: `version` is its newest, and without `oldest` the only one. Throws Unavailable. */
export function commonVersion(
  { version, oldest }: { version?: unknown; oldest?: unknown },
  ours: VersionRange = ourVersions,
): number {
  if (typeof version !== 'number') throw refusal('an unknown version', ours);
  const theirs = { oldest: typeof oldest === 'number' ? oldest : version, newest: version };
  const common = Math.min(theirs.newest, ours.newest);
  if (common < theirs.oldest || common < ours.oldest) throw refusal(`version ${rangeText(theirs)}`, ours);
  return common;
}

function refusal(theirs: string, ours: VersionRange): DaemonError {
  return new DaemonError(
    'Unavailable',
    `the VM's agent speaks ${theirs} of the protocol, this daemon ${rangeText(ours)}`,
  );
}

function rangeText({ oldest, newest }: VersionRange): string {
  return oldest === newest ? String(newest) : `${oldest} to ${newest}`;
}
