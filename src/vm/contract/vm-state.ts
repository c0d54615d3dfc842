// The state machine of a VM.
//
//     (boot or clone) ──▶ Idle ──associate──▶ Associated ──release──▶ Idle
//                          └──────── end ────────┴──▶ (gone)

/** Idle: booted and agent ready. Associated: bound to one Pod. A dead VM has no state: it is gone. */
export type VmState = { kind: 'Idle' } | { kind: 'Associated'; podId: string };
export type VmEvent = { kind: 'associate'; podId: string } | { kind: 'release' };

/** Returns the next state, or undefined when the event is illegal in this one. */
export function nextVmState(state: VmState, event: VmEvent): VmState | undefined {
  switch (state.kind) {
    case 'Idle':
      return event.kind === 'associate' ? { kind: 'Associated', podId: event.podId } : undefined;
    case 'Associated': // docs/states.md says what must be reset before a used VM may be Idle again
      return event.kind === 'release' ? { kind: 'Idle' } : undefined;
  }
}
