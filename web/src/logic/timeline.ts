// Events over time: how many there were in each piece of it.

import type { EventMessage } from '../../../src/docker/types';

export interface Piece {
  /** Seconds since the epoch, of its begin. */
  from: number;
  count: number;
  /** Of them: ended otherwise than with 0, out of memory, not healthy. */
  bad: number;
}

/** What processes of health checks and of people with a terminal do: there are so many that they hide the rest. */
export function isExec({ Action }: Pick<EventMessage, 'Action'>): boolean {
  return Action.startsWith('exec_');
}

/** The newest first, at most `kept`; of too many those of health checks and terminals go first, then the oldest. */
export function withEvent(
  events: readonly EventMessage[],
  event: EventMessage,
  kept: number,
): EventMessage[] {
  const all = [event, ...events];
  if (all.length <= kept) return all;
  const last = all.findLastIndex(isExec);
  all.splice(last < 0 ? all.length - 1 : last, 1);
  return all;
}

export function isBad({ Action, Actor }: Pick<EventMessage, 'Action' | 'Actor'>): boolean {
  if (Action === 'oom' || Action === 'health_status: unhealthy') return true;
  return Action === 'die' && !['0', undefined].includes(Actor.Attributes['exitCode']);
}

/** `count` pieces of the time from the first event, but an hour at least and a day at most, until now. Seconds. */
export function timeline(
  events: readonly Pick<EventMessage, 'time' | 'Action' | 'Actor'>[],
  now: number,
  count: number,
): Piece[] {
  const first = events.reduce((least, { time }) => Math.min(least, time), now);
  const span = Math.min(86_400, Math.max(3_600, now - first));
  const length = span / count;
  const pieces = Array.from({ length: count }, (_, index) => ({
    from: now - span + index * length,
    count: 0,
    bad: 0,
  }));
  for (const event of events) {
    const piece = pieces[Math.min(count - 1, Math.floor((event.time - (now - span)) / length))];
    if (piece === undefined) continue;
    piece.count += 1;
    if (isBad(event)) piece.bad += 1;
  }
  return pieces;
}
