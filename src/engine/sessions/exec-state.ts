// The state machine of an exec.
//
//     created ──start──▶ starting ──started──▶ running ──exit──▶ exited
//                            │                                     ▲
//                            └──failed, exit───────────────────────┘
//
// An exit may be reported while the answer to the start is still on its way.

/** `pid`: in the VM; 0 where it never was known. */
export type ExecState =
  | { kind: 'created' }
  | { kind: 'starting' }
  | { kind: 'running'; pid: number }
  | { kind: 'exited'; pid: number; exitCode: number };

export type ExecEvent =
  | { kind: 'start' }
  | { kind: 'started'; pid: number }
  /** The guest could not run it. */
  | { kind: 'failed' }
  | { kind: 'exit'; exitCode: number };

/** What Docker records of an exec that could not be run. */
const failedExitCode = 126;

/** The state after `event`, or undefined when the event is illegal in this one. */
export function nextExecState(state: ExecState, event: ExecEvent): ExecState | undefined {
  switch (event.kind) {
    case 'start':
      return state.kind === 'created' ? { kind: 'starting' } : undefined;
    case 'started':
      return state.kind === 'starting' ? { kind: 'running', pid: event.pid } : undefined;
    case 'failed':
      if (state.kind !== 'starting') return undefined;
      return { kind: 'exited', pid: 0, exitCode: failedExitCode };
    case 'exit': {
      if (state.kind !== 'starting' && state.kind !== 'running') return undefined;
      const pid = state.kind === 'running' ? state.pid : 0;
      return { kind: 'exited', pid, exitCode: event.exitCode };
    }
  }
}
