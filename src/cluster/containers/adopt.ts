// A run that a daemon has begun and did not live to record.

import { formatTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { PodFacts } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterContext } from './context';
import { runOf } from './pod-plan';

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
  const attachment = await networks.attach(container.record, pod);
  const started = await containers.transition(
    container,
    () => ({ kind: 'start', run: runOf(state, container.record, pod) }),
    () => ({ ...attachment, pod, restartCount: 0, manuallyStopped: false, startBegunAt: '' }),
  );
  if (started === undefined) return false;
  log.warn('a run is recorded that a daemon which is gone has begun', { containerId: container.id });
  events.publish('container', 'start', container.id, eventAttributes(started));
  await events.flush();
  return true;
}
