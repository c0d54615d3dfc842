// A run that a daemon has begun and did not live to record.

import { formatTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import type { PodFacts } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { runOf } from './pod-plan';
import { publishBegin } from './run-events';

/** Records it, if there is one; whoever keeps exits then finds how it ended. Returns whether there was. */
export async function adoptRun(
  {
    containers,
    networks,
    events,
    supervisor,
  }: Pick<ClusterContext, 'containers' | 'networks' | 'events' | 'supervisor'>,
  container: ClusterContainer,
  pod: PodFacts,
): Promise<boolean> {
  const state = await supervisor(pod.name).state();
  const isWritten = formatTimestamp(state.startedAt) === container.state.startedAt;
  if ((state.state !== 'running' && state.state !== 'exited') || isWritten) return false;
  const { attachment, joined } = await networks.attach(container.record, pod);
  const started = await containers.transition(
    container,
    () => ({ kind: 'start', run: runOf(state, container.record, pod) }),
    (now) => ({
      ...attachment,
      pod,
      startBegunAt: '',
      ...(now.state.kind === 'restarting'
        ? { restartCount: now.restartCount + 1 }
        : { restartCount: 0, manuallyStopped: false }),
    }),
  );
  if (started === undefined) return false;
  log.warn('a run is recorded that a daemon which is gone has begun', { containerId: container.id });
  publishBegin({ events }, started, joined);
  await events.flush();
  return true;
}
