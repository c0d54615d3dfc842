// The state machine of a container, as Docker shows it.
//
//     created ──start──▶ running ◀──resume/pause──▶ paused
//        │                │  ▲                        │
//        │              exit │start                 exit
//        │                ▼  │                        ▼
//        │              exited ◀──exit── running   exited
//        │                │
//        │      running ──exit + policy──▶ restarting ──start──▶ running
//        │                                   └──giveUp──▶ exited
//        └───────┬────────┴───────────────────┐
//              remove                       remove (forced: after the kill)
//                ▼                            ▼
//             removing ──▶ (gone)          removing ──failed──▶ dead ──remove──▶ removing
//
// A start that fails stays in its state, with the exit code and the error of the attempt (Docker does the same).

/** Where each name's connections go: paths without links, as they were when the container started. */
export type SocketTargets = Readonly<Record<string, string>>;

/** Names of what a container shares, by where it is mounted. */
export type ShareNames = Readonly<Record<string, string>>;

/** What a process that runs, or ran, is known by. True from start to exit. */
export interface RunFacts {
  /** VM the Pod runs on. */
  vmId: string;
  /** Of the container's first process, in the VM. */
  pid: number;
  /** Numbers this run of the container: log offsets count from its start. */
  runId: string;
  /** Channels of the agent's protocol that carry the process's streams. */
  channels: { stdin?: number; stdout: number; stderr?: number };
  startedAt: string;
  /** End of the run before this one. */
  finishedAt: string;
  /** OOM kills of a child were seen in this run. */
  oomKilled: boolean;
  /** Sockets of the host that it may connect to, by their tunnels' names. */
  sockets?: SocketTargets;
  /** Names of what the guest shares, by where it is mounted: of one that goes on from a checkpoint, as they were there. */
  shareNames?: ShareNames;
}

/** How the last run ended, or why it could not begin. */
export interface ExitFacts {
  exitCode: number;
  error: string;
  oomKilled: boolean;
  startedAt: string;
  finishedAt: string;
}

const endFacts = [
  'exitCode',
  'error',
  'startedAt',
  'finishedAt',
] as const satisfies readonly (keyof ExitFacts)[];

export type ContainerState =
  | ({ kind: 'created' } & ExitFacts)
  | ({ kind: 'running' } & RunFacts)
  | ({ kind: 'paused' } & RunFacts)
  | ({ kind: 'restarting' } & ExitFacts)
  | ({ kind: 'exited' } & ExitFacts)
  | ({ kind: 'removing' } & ExitFacts)
  | ({ kind: 'dead' } & ExitFacts);

export type ContainerStateKind = ContainerState['kind'];

export type ContainerEvent =
  | { kind: 'start'; run: RunFacts }
  | { kind: 'startFailed'; exitCode: number; error: string }
  | { kind: 'exit'; exit: ExitFacts }
  /** An exit that the restart policy answers. */
  | { kind: 'exitToRestart'; exit: ExitFacts }
  | { kind: 'giveUp' }
  | { kind: 'pause' }
  | { kind: 'resume' }
  | { kind: 'oom' }
  | { kind: 'remove' }
  | { kind: 'removeFailed'; error: string };

/** Docker's "is running": there is a process, be it stopped by pause. */
export function isActive(
  state: ContainerState,
): state is Extract<ContainerState, { kind: 'running' | 'paused' }> {
  return state.kind === 'running' || state.kind === 'paused';
}

/** A run is over for good, or a start has failed, since it was in the state `before`: what waits for an exit is told of. */
export function isNewEnd(before: ContainerState, after: ContainerState): boolean {
  if (isActive(after) || after.kind === 'restarting') return false;
  if (isActive(before) || before.kind === 'restarting') return true;
  return endFacts.some((fact) => before[fact] !== after[fact]);
}

/** The state after `event`, or undefined when the event is illegal in this one. */
export function nextContainerState(state: ContainerState, event: ContainerEvent): ContainerState | undefined {
  switch (event.kind) {
    case 'start':
      if (state.kind !== 'created' && state.kind !== 'exited' && state.kind !== 'restarting')
        return undefined;
      return { kind: 'running', ...event.run };
    case 'startFailed': {
      if (state.kind !== 'created' && state.kind !== 'exited' && state.kind !== 'restarting')
        return undefined;
      const kind = state.kind === 'restarting' ? 'exited' : state.kind;
      return { ...state, kind, exitCode: event.exitCode, error: event.error, oomKilled: false };
    }
    case 'exit':
      return isActive(state) ? { kind: 'exited', ...event.exit } : undefined;
    case 'exitToRestart':
      return isActive(state) ? { kind: 'restarting', ...event.exit } : undefined;
    case 'giveUp':
      return state.kind === 'restarting' ? { ...state, kind: 'exited' } : undefined;
    case 'pause':
      return state.kind === 'running' ? { ...state, kind: 'paused' } : undefined;
    case 'resume':
      return state.kind === 'paused' ? { ...state, kind: 'running' } : undefined;
    case 'oom':
      return isActive(state) ? { ...state, oomKilled: true } : undefined;
    case 'remove':
      return isActive(state) || state.kind === 'removing' ? undefined : { ...state, kind: 'removing' };
    case 'removeFailed':
      return state.kind === 'removing' ? { ...state, kind: 'dead', error: event.error } : undefined;
  }
}
