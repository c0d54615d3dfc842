import type { HandOver } from '../../../../src/engine/vms/hand-over';
import { nextPlace, type Place, type PlaceEvent } from '../../../../src/engine/vms/place-state';

const done = Promise.resolve();
// Carried along, and never looked into.
const to = { name: 'to the next Pod' } as unknown as HandOver;

const states = {
  Running: { kind: 'Running' },
  HandingOver: { kind: 'HandingOver', to },
  Stopping: { kind: 'Stopping', done },
  'Stopping, for another': { kind: 'Stopping', done, to },
  Passed: { kind: 'Passed', done, to },
  Vacating: { kind: 'Vacating', done, to },
  Gone: { kind: 'Gone' },
} satisfies Record<string, Place>;
type Name = keyof typeof states;

const events: Record<PlaceEvent['kind'], PlaceEvent> = {
  arrange: { kind: 'arrange', to },
  goOn: { kind: 'goOn' },
  stop: { kind: 'stop', done },
  lost: { kind: 'lost' },
  ended: { kind: 'ended' },
  pass: { kind: 'pass' },
  claim: { kind: 'claim' },
  over: { kind: 'over' },
};

/** Every legal step; all others are refused. */
const steps: Record<Name, Partial<Record<PlaceEvent['kind'], Name>>> = {
  Running: { arrange: 'HandingOver', stop: 'Stopping', lost: 'Gone' },
  HandingOver: { goOn: 'Running', stop: 'Stopping, for another', lost: 'Gone' },
  Stopping: { ended: 'Gone' },
  'Stopping, for another': { ended: 'Gone', pass: 'Passed' },
  Passed: { claim: 'Vacating', over: 'Gone' },
  Vacating: { over: 'Gone' },
  Gone: {},
};

const names = Object.keys(states) as Name[];
const kinds = Object.keys(events) as PlaceEvent['kind'][];

it.each(names.flatMap((name) => kinds.map((kind) => [name, kind, steps[name][kind]] as const)))(
  '%s, %s: %s',
  (name, kind, after) => {
    const expected = after === undefined ? undefined : states[after];
    expect(nextPlace(states[name], events[kind])).toStrictEqual(expected);
  },
);
