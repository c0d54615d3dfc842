import { nextExecState, type ExecEvent, type ExecState } from '../../../../src/engine/sessions/exec-state';

const states: Record<ExecState['kind'], ExecState> = {
  created: { kind: 'created' },
  starting: { kind: 'starting' },
  running: { kind: 'running', pid: 7 },
  exited: { kind: 'exited', pid: 7, exitCode: 3 },
};
const events: Record<ExecEvent['kind'], ExecEvent> = {
  start: { kind: 'start' },
  started: { kind: 'started', pid: 7 },
  failed: { kind: 'failed' },
  exit: { kind: 'exit', exitCode: 4 },
};
/** Every legal step; all others are refused. */
const steps: Partial<Record<ExecState['kind'], Partial<Record<ExecEvent['kind'], ExecState>>>> = {
  created: { start: states.starting },
  starting: {
    started: states.running,
    failed: { kind: 'exited', pid: 0, exitCode: 126 },
    exit: { kind: 'exited', pid: 0, exitCode: 4 },
  },
  running: { exit: { kind: 'exited', pid: 7, exitCode: 4 } },
};
const table = Object.values(states).flatMap((state) =>
  Object.values(events).map((event) => [state.kind, event.kind, steps[state.kind]?.[event.kind]] as const),
);

it.each(table)('%s, %s: %j', (state, event, after) => {
  expect(nextExecState(states[state], events[event])).toEqual(after);
});
