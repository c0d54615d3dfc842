// The clients of a build.

import type { SessionCaller, Sessions } from '../../contract/session';
import type { BuildScope } from '../../contract/solver';

export function callersThere(sessions: Sessions, sessionIds: readonly string[]): readonly SessionCaller[] {
  return sessionIds.flatMap((id) => sessions.find(id) ?? []);
}

/** Those that are there; the first is waited for where none is. */
export async function callersOf(
  sessions: Sessions,
  { sessionIds }: BuildScope,
  signal: AbortSignal,
): Promise<readonly SessionCaller[]> {
  const there = callersThere(sessions, sessionIds);
  const [first] = sessionIds;
  return there.length > 0 || first === undefined ? there : [await sessions.get(first, signal)];
}

/** The first client's that has it, as text without a line's end; undefined: none has. */
export async function secretOf(
  callers: readonly SessionCaller[],
  id: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const caller of callers) {
    const secret = await caller.secret(id, signal);
    if (secret !== undefined) return secret.toString('latin1').trim();
  }
  return undefined;
}
