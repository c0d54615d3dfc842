// The state machine of a Pod.
//
//     (None) ──create──▶ Created ──run──▶ Running ──stop──▶ Created
//                           └──────────── remove ───────────▶ (None)
//
// A Docker container's Pod is Created with it and Running while one of its containers is.

import type { PodState } from '../translate/pod';

export type PodEvent = { kind: 'run'; vmId: string } | { kind: 'stop' };

/** The state after `event`, or undefined when it is illegal in this one. */
export function nextPodState(state: PodState, event: PodEvent): PodState | undefined {
  switch (state.kind) {
    case 'Created':
      return event.kind === 'run' ? { kind: 'Running', vmId: event.vmId } : undefined;
    case 'Running':
      return event.kind === 'stop' ? { kind: 'Created' } : undefined;
  }
}
