// The state machine of a place: one Pod on one VM, from when the Pod has it until nothing of the Pod is in it any more.
//
//     (none) ──▶ Running ──arrange──▶ HandingOver
//                 │ │ ▲                 │ │ │
//                 │ │ └──────goOn───────┘ │ └──lost──▶ Gone
//                 │ └──lost──▶ Gone       │
//                 │                       │
//                 └────stop──▶ Stopping ◀─┘
//                               │    │
//                  Gone ◀─ended─┘    └─pass──▶ Passed ──claim──▶ Vacating
//                                                └──over──▶ Gone ◀──over──┘
//
// Only a place that was handing over can pass its VM on; one whose VM can't be had as it is ends like any other. What is asked
// for a Pod whether or not it has a place (pinned, kept, on which VM) is in pod-wishes.ts.

import type { HandOver } from './hand-over';

export type Place =
  /** Containers run on the VM, or may come. */
  | { kind: 'Running' }
  /** As Running; with the end of the last container the VM is another Pod's. */
  | { kind: 'HandingOver'; to: HandOver }
  /** The last container has ended: the VM is ended, emptied or passed on. `done`: that is over, and the endpoints are free. */
  | { kind: 'Stopping'; done: Promise<void>; to?: HandOver }
  /** The VM is Idle, with what this Pod has left in it, until the next one takes it. */
  | { kind: 'Passed'; done: Promise<void>; to: HandOver }
  /** The next Pod has the VM, or it is being ended; what this one has left is taken out. */
  | { kind: 'Vacating'; done: Promise<void>; to: HandOver }
  | { kind: 'Gone' };

export type PlaceEvent =
  /** The VM is promised to another Pod. */
  | { kind: 'arrange'; to: HandOver }
  /** The promise is taken back. */
  | { kind: 'goOn' }
  | { kind: 'stop'; done: Promise<void> }
  /** The VM has ended although nobody asked for it. */
  | { kind: 'lost' }
  /** The VM was ended, or is Idle with nothing of this Pod in it. */
  | { kind: 'ended' }
  | { kind: 'pass' }
  | { kind: 'claim' }
  /** Nothing of the Pod is in the VM any more, or the VM is gone. */
  | { kind: 'over' };

/** Whether containers of the Pod are on the VM, or may come to it. */
export function isUp(place: Place): place is Extract<Place, { kind: 'Running' | 'HandingOver' }> {
  return place.kind === 'Running' || place.kind === 'HandingOver';
}

/** Whether the Pod has left something in a VM that is not its own any more. */
export function isLeft(place: Place): place is Extract<Place, { kind: 'Passed' | 'Vacating' }> {
  return place.kind === 'Passed' || place.kind === 'Vacating';
}

/** The place after `event`, or undefined when that is illegal in this one. */
export function nextPlace(place: Place, event: PlaceEvent): Place | undefined {
  switch (event.kind) {
    case 'arrange':
      return place.kind === 'Running' ? { kind: 'HandingOver', to: event.to } : undefined;
    case 'goOn':
      return place.kind === 'HandingOver' ? { kind: 'Running' } : undefined;
    case 'stop':
      return isUp(place) ? { ...place, kind: 'Stopping', done: event.done } : undefined;
    case 'lost':
      return isUp(place) ? { kind: 'Gone' } : undefined;
    case 'ended':
      return place.kind === 'Stopping' ? { kind: 'Gone' } : undefined;
    case 'pass':
      if (place.kind !== 'Stopping' || place.to === undefined) return undefined;
      return { kind: 'Passed', done: place.done, to: place.to };
    case 'claim':
      return place.kind === 'Passed' ? { ...place, kind: 'Vacating' } : undefined;
    case 'over':
      return isLeft(place) ? { kind: 'Gone' } : undefined;
  }
}
