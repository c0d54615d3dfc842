// What an operation, or a container of a frontend, is given to run with.

import type { BuildScope } from '../contract/solver';
import { LayerHolds } from './files/layer-trees';
import type { RunContext } from './ops/operation';
import type { SolverCore } from './vertex-work';

/** Layers that `run` adds are held until it has settled: by then the results hold what they need. */
export async function inRunContext<T>(
  core: SolverCore,
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
