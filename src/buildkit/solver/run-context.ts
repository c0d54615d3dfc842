// What an operation, or a container of a frontend, is given to run with.

import type { SessionCaller } from '../contract/session';
import type { BuildScope } from '../contract/solver';
import { LayerHolds } from './files/layer-trees';
import type { OperationTools, RunContext } from './ops/operation';

export interface RunTools extends OperationTools {
  sessionsOf(scope: BuildScope, signal: AbortSignal): Promise<readonly SessionCaller[]>;
}

/** Layers that `run` adds are held until it has settled: by then the results hold what they need. */
export async function inRunContext<T>(
  core: RunTools,
  scope: BuildScope,
  own: Pick<RunContext, 'resources' | 'log'>,
  run: (context: RunContext) => Promise<T>,
): Promise<T> {
  const { host, trees, digests, cacheMounts } = core;
  const holds = new LayerHolds(host.layers);
  try {
    const sessions: RunContext['sessions'] = (signal) => core.sessionsOf(scope, signal);
    return await run({ host, trees, digests, cacheMounts, scope, sessions, holds, ...own });
  } finally {
    holds.release();
  }
}
