import {
  isNewEnd,
  nextContainerState,
  type ContainerEvent,
  type ContainerState,
  type ExitFacts,
  type RunFacts,
} from '../../../../src/semantics/containers/container-state';

const exit: ExitFacts = { exitCode: 3, error: '', oomKilled: false, startedAt: 's', finishedAt: 'f' };
const run: RunFacts = {
  vmId: 'vm',
  pid: 7,
  runId: 'r',
  channels: { stdout: 1 },
  startedAt: 's',
  finishedAt: 'f',
  oomKilled: false,
};
const states: Record<ContainerState['kind'], ContainerState> = {
  created: { kind: 'created', ...exit },
  running: { kind: 'running', ...run },
  paused: { kind: 'paused', ...run },
  restarting: { kind: 'restarting', ...exit },
  exited: { kind: 'exited', ...exit },
  removing: { kind: 'removing', ...exit },
  dead: { kind: 'dead', ...exit },
};
const events: Record<ContainerEvent['kind'], ContainerEvent> = {
  start: { kind: 'start', run },
  startFailed: { kind: 'startFailed', exitCode: 127, error: 'no' },
  exit: { kind: 'exit', exit },
  exitToRestart: { kind: 'exitToRestart', exit },
  giveUp: { kind: 'giveUp' },
  pause: { kind: 'pause' },
  resume: { kind: 'resume' },
  oom: { kind: 'oom' },
  remove: { kind: 'remove' },
  removeFailed: { kind: 'removeFailed', error: 'no' },
};
/** Every legal step; all others are refused. */
const steps: Partial<
  Record<ContainerState['kind'], Partial<Record<ContainerEvent['kind'], ContainerState['kind']>>>
> = {
  created: { start: 'running', startFailed: 'created', remove: 'removing' },
  running: { exit: 'exited', exitToRestart: 'restarting', pause: 'paused', oom: 'running' },
  paused: { exit: 'exited', exitToRestart: 'restarting', resume: 'running', oom: 'paused' },
  restarting: { start: 'running', startFailed: 'exited', giveUp: 'exited', remove: 'removing' },
  exited: { start: 'running', startFailed: 'exited', remove: 'removing' },
  removing: { removeFailed: 'dead' },
  dead: { remove: 'removing' },
};
const table = Object.values(states).flatMap((state) =>
  Object.values(events).map((event) => [state.kind, event.kind, steps[state.kind]?.[event.kind]] as const),
);

it.each(table)('%s, %s: %s', (state, event, after) => {
  expect(nextContainerState(states[state], events[event])?.kind).toBe(after);
});

it('carries the data of its state', () => {
  expect(nextContainerState(states.exited, events.startFailed)).toMatchObject({ exitCode: 127, error: 'no' });
  expect(nextContainerState(states.running, events.oom)).toMatchObject({ oomKilled: true, pid: 7 });
  expect(nextContainerState(states.removing, events.removeFailed)).toMatchObject({ error: 'no' });
});

test('an exit is new when a run was before, or a start has failed; not when something else of the record changes', () => {
  const { created, running, paused, restarting, exited, removing } = states;
  for (const before of [running, paused, restarting]) expect(isNewEnd(before, exited)).toBe(true);
  for (const before of [created, exited]) expect(isNewEnd(before, { ...exited })).toBe(false);
  expect(isNewEnd(exited, removing)).toBe(false);
  expect(isNewEnd(running, restarting)).toBe(false);
  expect(isNewEnd(exited, running)).toBe(false);
  expect(isNewEnd(created, { kind: 'created', ...exit, exitCode: 127, error: 'no' })).toBe(true);
  // of a run that nobody has seen
  expect(isNewEnd(exited, { kind: 'exited', ...exit, startedAt: 'later', finishedAt: 'later' })).toBe(true);
});
