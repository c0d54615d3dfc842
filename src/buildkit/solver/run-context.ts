// What an operation, or a container of a frontend, is given to run with.

import type { SessionCaller } from '../contract/session';
import type { BuildScope } from '../contract/solver';
import { LayerHolds } from './files/layer-trees';
import type { OperationTools, RunContext } from './ops/operation';

export interface RunTools extends OperationTools {
  sessionsOf(scope: BuildScope, signal: AbortSignal): Promise<readonly SessionCaller[]>;
  /** Those of them that are there; nobody is waited for. */
  sessionsThere(scopes: Iterable<BuildScope>): readonly SessionCaller[];
}

/** Layers that `run` adds are held until it has settled: by then the results hold what they need. */
export async function inRunContext<T>(
  core: RunTools,
  scope: BuildScope,
  own: Pick<RunContext, 'resources' | 'log'> & { readonly wantedBy?: () => Iterable<BuildScope> },
  run: (context: RunContext) => Promise<T>,
): Promise<T> {
  const { host, trees, digests, cacheMounts } = core;
  const holds = new LayerHolds(host.layers);
  try {
    const sessions: RunContext['sessions'] = (signal) => core.sessionsOf(scope, signal);
    const { wantedBy = () => [], ...rest } = own;
    const otherSessions: RunContext['otherSessions'] = () => core.sessionsThere(wantedBy());
    return await run({ host, trees, digests, cacheMounts, scope, sessions, otherSessions, holds, ...rest });
  } finally {
    holds.release();
  }
}
