// What Docker tells of a run's begin and end, in its order. Flush the events.

import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { publishVolumeEvents } from '../../semantics/events/volume-events';
import type { JoinedNetwork } from '../contract/areas';
import type { ClusterRecord } from '../contract/cluster-record';
import type { ClusterContext } from './context';

type Announcing = Pick<ClusterContext, 'events'>;

export function publishBegin(
  { events }: Announcing,
  record: ClusterRecord,
  joined: readonly JoinedNetwork[],
): void {
  for (const { id, name, driver } of joined)
    events.publish('network', 'connect', id, { container: record.id, name, type: driver });
  publishVolumeEvents(events, record, 'mount');
  events.publish('container', 'start', record.id, eventAttributes(record), runMark(record));
}

/** Of a container's present run. Another daemon than the one that has begun a run may tell of its end: it waits for this mark. */
export function runMark({ id, state }: ClusterRecord): string {
  return isActive(state) ? `${id} ${state.vmId} ${state.runId}` : id;
}

export function publishEnd(
  { events }: Announcing,
  record: ClusterRecord,
  left: readonly JoinedNetwork[],
  { exitCode, oomKilled }: { exitCode: number; oomKilled: boolean },
): void {
  if (oomKilled) events.publish('container', 'oom', record.id, eventAttributes(record));
  events.publish('container', 'die', record.id, { ...eventAttributes(record), exitCode: String(exitCode) });
  for (const { id, name, driver } of left)
    events.publish('network', 'disconnect', id, { container: record.id, name, type: driver });
  publishVolumeEvents(events, record, 'unmount');
}
