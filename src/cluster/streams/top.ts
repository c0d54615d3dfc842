// `docker top`: ps, which is brought along with the supervisor.

import type { ContainerTopResponse } from '../../docker/types';
import { DaemonError } from '../../errors';
import { notRunning } from '../../semantics/containers/container-refusals';
import { isActive } from '../../semantics/containers/container-state';
import { formatTop, parsePsArguments } from '../../semantics/views/top-format';
import type { ClusterContainer } from '../records/cluster-container';
import { readJob } from './jobs';
import type { ContainerReach } from './reach';

const maxOutputBytes = 16 * 1024 * 1024;

export async function clusterTop(
  reach: ContainerReach,
  container: ClusterContainer,
  psArgs: string,
): Promise<ContainerTopResponse> {
  const psArguments = parsePsArguments(psArgs);
  const supervisor = reach.supervisor(container);
  if (supervisor === undefined || !isActive(container.state)) throw notRunning(container);
  const job = { kind: 'top', psArgs: psArguments } as const;
  const { output, code, message } = await readJob(supervisor, job, maxOutputBytes);
  if (code !== 0) throw new DaemonError('Internal', `ps: ${message.split('\n', 1)[0] ?? ''}`);
  const text = output.toString();
  const end = text.indexOf('\n');
  const pids = text
    .slice(0, end)
    .split(' ')
    .filter((word) => word !== '');
  const response = formatTop(text.slice(end + 1), pids.map(Number));
  reach.publish('top', container);
  return response;
}
