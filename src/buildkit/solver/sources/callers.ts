// The clients of a build.

import type { SessionCaller, Sessions } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';

/** Those that are there; the first is waited for where none is. */
export async function callersOf(
  sessions: Sessions,
  { sessionIds }: BuildScope,
  signal: AbortSignal,
): Promise<readonly SessionCaller[]> {
  const there = sessionIds.flatMap((id) => sessions.find(id) ?? []);
  const [first] = sessionIds;
  return there.length > 0 || first === undefined ? there : [await sessions.get(first, signal)];
}
