// `docker stats`: the supervisor's counters, a second apart.

import type { ContainerStats } from '../../docker/types';
import { pause } from '../../async/pause';
import { DaemonError } from '../../errors';
import { slashedName } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { formatStats } from '../../semantics/views/stats-format';
import type { ContainerStats as RawStats } from '../../vm/contract/protocol';
import type { ClusterContainer } from '../records/cluster-container';
import { isRawStats } from './raw-stats';
import { readJob } from './jobs';
import type { ContainerReach } from './reach';

const intervalMs = 1000;
const maxStatsBytes = 65_536;

/** With `stream` a sample a second until `signal` or the container's removal, empty ones while it does not run. */
export async function* clusterStats(
  reach: ContainerReach,
  container: ClusterContainer,
  options: { stream: boolean; oneShot: boolean },
  signal: AbortSignal,
): AsyncGenerator<ContainerStats, void, undefined> {
  const format = (at: RawStats | undefined, previous: RawStats | undefined): ContainerStats =>
    formatStats({ id: container.id, name: slashedName(container.record) }, at, previous);
  let previous: RawStats | undefined;
  if (!options.stream) {
    if (!options.oneShot && isActive(container.state)) {
      previous = await sample(reach, container, signal);
      await pause(intervalMs, signal);
    }
    yield format(await sample(reach, container, signal), previous);
    return;
  }
  while (!signal.aborted && reach.isKnown(container)) {
    const at = await sample(reach, container, signal);
    yield format(at, at === undefined ? undefined : previous);
    previous = at;
    await pause(intervalMs, signal);
  }
}

/** Undefined while it does not run, or can't be asked. */
async function sample(
  reach: ContainerReach,
  container: ClusterContainer,
  signal: AbortSignal,
): Promise<RawStats | undefined> {
  const supervisor = reach.supervisor(container);
  if (supervisor === undefined || !isActive(container.state)) return undefined;
  try {
    const { output } = await readJob(supervisor, { kind: 'stats' }, maxStatsBytes, signal);
    const stats: unknown = JSON.parse(output.toString());
    return isRawStats(stats) ? stats : undefined;
  } catch (error) {
    if (error instanceof DaemonError || error instanceof SyntaxError || signal.aborted) return undefined;
    throw error;
  }
}
