// What Docker tells of a run's begin and end, in its order. Flush the events.

import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { publishVolumeEvents } from '../../semantics/events/volume-events';
import type { JoinedNetwork } from '../contract/areas';
import type { ClusterRecord } from '../contract/cluster-record';
import type { ClusterContext } from './context';

/** A daemon that has said nothing for so long is gone. */
const untoldMs = 2_000;

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

/** `mark`: of the run. */
export function publishEnd(
  { events }: Announcing,
  record: ClusterRecord,
  left: readonly JoinedNetwork[],
  { exitCode, oomKilled, mark }: { exitCode: number; oomKilled: boolean; mark: string },
): void {
  if (oomKilled) events.publish('container', 'oom', record.id, eventAttributes(record));
  const attributes = { ...eventAttributes(record), exitCode: String(exitCode) };
  events.publish('container', 'die', record.id, attributes, endOf(mark));
  for (const { id, name, driver } of left)
    events.publish('network', 'disconnect', id, { container: record.id, name, type: driver });
  publishVolumeEvents(events, record, 'unmount');
}

function endOf(mark: string): string {
  return `${mark} ended`;
}

/** A verb that ends a run tells of itself after that end, whichever daemon tells of it. Call it before the end; then await the result. */
export function endTold({ events }: Announcing, record: ClusterRecord): () => Promise<void> {
  if (!isActive(record.state)) return () => Promise.resolve();
  const mark = endOf(runMark(record));
  return () => events.whenTold(mark, untoldMs);
}
