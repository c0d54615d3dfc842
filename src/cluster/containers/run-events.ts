// What Docker tells of a run's begin and end, in its order. Several daemons may tell of the same: what comes first counts. Flush the events.

import { parseTimestamp } from '../../go/timestamp';
import { log } from '../../log';
import { eventAttributes } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { publishVolumeEvents } from '../../semantics/events/volume-events';
import type { JoinedNetwork } from '../contract/areas';
import type { ClusterRecord } from '../contract/cluster-record';
import type { ClusterContainer } from '../records/cluster-container';
import type { ClusterEvents } from '../records/event-log';
import type { ClusterContext } from './context';

/** A daemon that has said nothing for so long is gone, and whoever waits for it tells in its place. */
const untoldMs = 2_000;

type Announcing = Pick<ClusterContext, 'events'>;

/** `record`: as it was when the run had begun. */
export function publishBegin(
  { events }: Announcing,
  record: ClusterRecord,
  joined: readonly JoinedNetwork[],
): void {
  const mark = runMark(record);
  for (const { id, name, driver } of joined)
    events.publish('network', 'connect', id, { container: record.id, name, type: driver }, mark);
  publishVolumeEvents(marked(events, mark), record, 'mount');
  events.publish('container', 'start', record.id, eventAttributes(record), mark);
}

/** Of a start that fails after the container was on these networks. */
export async function publishVisit(
  { events }: Announcing,
  { id }: ClusterRecord,
  networks: readonly JoinedNetwork[],
): Promise<void> {
  for (const action of ['connect', 'disconnect'])
    for (const { id: networkId, name, driver } of networks)
      events.publish('network', action, networkId, { container: id, name, type: driver });
  await events.flush();
}

/** `record`: after the run. */
export function publishEnd(
  { events }: Announcing,
  record: ClusterRecord,
  left: readonly JoinedNetwork[],
): void {
  const { state } = record;
  if (isActive(state)) return;
  const mark = endMark(record);
  if (state.oomKilled) events.publish('container', 'oom', record.id, eventAttributes(record), mark);
  const attributes = { ...eventAttributes(record), exitCode: String(state.exitCode) };
  events.publish('container', 'die', record.id, attributes, mark);
  for (const { id, name, driver } of left)
    events.publish('network', 'disconnect', id, { container: record.id, name, type: driver }, mark);
  publishVolumeEvents(marked(events, mark), record, 'unmount');
}

/** Before its end: resolves when its begin has been told of, by this daemon if another is gone. `record`: of the run. */
export async function beginTold(
  { events }: Announcing,
  record: ClusterRecord,
  joined: readonly JoinedNetwork[],
): Promise<void> {
  const mark = runMark(record);
  if (events.wasTold(mark, parseTimestamp(record.state.startedAt))) return;
  if (!(await events.whenTold(mark, untoldMs))) publishBegin({ events }, record, joined);
}

/** Whether a run is over, and no daemon has told so yet. */
export function endIsUntold({ events }: Announcing, record: ClusterRecord): boolean {
  const { state } = record;
  return (
    hasRun(record) && !isActive(state) && !events.wasTold(endMark(record), parseTimestamp(state.finishedAt))
  );
}

/**
 * What follows the end of a run is told after it: resolves when it has been told of, by this daemon if another takes too long.
 * At once where the container runs, or never ran.
 */
export async function endTold(
  context: Pick<ClusterContext, 'events' | 'networks'>,
  record: ClusterRecord,
): Promise<void> {
  if (!endIsUntold(context, record) || (await context.events.whenTold(endMark(record), untoldMs))) return;
  log.info('the end of a run is told for another daemon', { containerId: record.id });
  const { left } = await context.networks.detach(record);
  publishEnd(context, record, left);
}

/** For a verb that ends a run. Call it before the end, then await the result: the policy may have begun another run meanwhile. */
export function endTolder(
  context: Pick<ClusterContext, 'events' | 'networks'>,
  container: ClusterContainer,
): () => Promise<void> {
  const { record } = container;
  if (!isActive(record.state)) return () => endTold(context, container.record);
  const { startedAt } = record.state;
  return async () => {
    if (container.state.startedAt === startedAt) await endTold(context, container.record);
    else await context.events.whenTold(endMark(record), untoldMs);
  };
}

/** Who waited for its removal may ask for events next: resolves when they have `destroy`, or whoever was to tell is gone. */
export async function removalTold({ events }: Announcing, { id }: Pick<ClusterRecord, 'id'>): Promise<void> {
  await events.whenTold(removalMark({ id }), untoldMs);
}

/** Two may remove one container, should another daemon have been taken for gone. */
export function removalMark({ id }: Pick<ClusterRecord, 'id'>): string {
  return `${id} removed`;
}

function hasRun({ state: { startedAt } }: ClusterRecord): boolean {
  return !startedAt.startsWith('0001-');
}

/** Of a container's present run, or its last. */
function runMark({ id, state }: ClusterRecord): string {
  return `${id} ${state.startedAt}`;
}

function endMark(record: ClusterRecord): string {
  return `${runMark(record)} ended`;
}

function marked(events: ClusterEvents, mark: string): Pick<ClusterEvents, 'publish'> {
  return { publish: (type, action, id, attributes) => events.publish(type, action, id, attributes, mark) };
}
