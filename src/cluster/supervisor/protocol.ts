// supervisor/: the daemon's end of what process 1 of each container's Pod says and is told.
//
// The wire contract; its prose is docs/supervisor-protocol.md and its other half is protocol/supervisor.h. A test compares the
// numbers.

import type { AgentFailure, GuestJob, GuestProcess } from '../../vm/contract/protocol';

export const frameHeaderBytes = 8;
export const maxDataBytes = 65_536;
export const maxRequestBytes = 8 * 1024 * 1024;
/** So many bytes of input are sent before the supervisor has taken them. */
export const inputAheadBytes = 4 * maxDataBytes;

export const frameKinds = {
  request: 1,
  input: 2,
  inputEnd: 3,
  resize: 4,
  ping: 5,
  reply: 16,
  failure: 17,
  records: 18,
  stdout: 19,
  stderr: 20,
  exit: 21,
  end: 22,
  pong: 23,
  taken: 24,
} as const;

export const recordHeaderBytes = 16;
export const recordTrailerBytes = 4;
export const recordKinds = { stdout: 1, stderr: 2, state: 3 } as const;
export const recordEndFlag = 1;
export const recordLineBytes = 16_384;
export const recordMostBytes = 2 * recordLineBytes;

/** How a command is started. Channels of `process` mean nothing here. */
export interface StartRequest {
  process: GuestProcess;
  /** It has a standard input, also while nobody is attached. */
  openStdin: boolean;
  /** Signals that it does nothing about don't reach it, as with the first process of a PID namespace. */
  isFirst: boolean;
  /** 0: as dockerd's `local` driver. `lineBytes`: what each line is counted for beside its own bytes. */
  log: { maxBytes: number; maxFiles: number; lineBytes: number };
}

/** `holds`: the command waits while this reader is far behind. */
export interface FollowRequest {
  from?: number;
  tail?: number;
  follow: boolean;
  holds: boolean;
}

export interface ExecRequest {
  id: string;
  process: GuestProcess;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  detach: boolean;
}

/** Kinds of the agent's jobs that the supervisor has, too, and what only it has. */
export type SupervisorJob =
  | Extract<GuestJob, { kind: 'stat' | 'archive' | 'extract' | 'export' | 'changes' | 'layer' }>
  | { kind: 'top'; psArgs: string[] }
  | { kind: 'stats' }
  /** `{"bytes":N}`: what the container has written, as Docker counts it. */
  | { kind: 'usage' }
  /** `address`: where the container's servers are reached. Its streams are tunnel-frames.ts'. */
  | { kind: 'tunnel'; address: string }
  /** The other way: connections to the sockets that its container has. Frames as of `tunnel`. */
  | { kind: 'sockets' };

export type SupervisorRequest =
  | { verb: 'state' }
  | { verb: 'end' }
  | ({ verb: 'start'; follow?: { holds: boolean } } & StartRequest)
  | ({ verb: 'follow' } & FollowRequest)
  | { verb: 'signal'; signal: number; id?: string }
  | { verb: 'resize'; rows: number; columns: number; id?: string }
  | ({ verb: 'exec' } & ExecRequest)
  | { verb: 'exec-state'; id: string }
  | ({ verb: 'job' } & SupervisorJob);

/** What is known of the command. Times are nanoseconds since the epoch; 0: never. */
export interface SupervisorState {
  state: 'never' | 'starting' | 'running' | 'exited';
  /** Of so many, the last. */
  run: number;
  pid: number;
  startedAt: bigint;
  finishedAt: bigint;
  code: number;
  signal: number;
  oom: boolean;
  /** Positions in the log: of what there still is, and of what comes next. */
  first: number;
  end: number;
}

/** Where a session reads the log from. `skip`: so many lines that end after it are not wanted. */
export interface FollowStart extends SupervisorState {
  position: number;
  skip: number;
}

export interface ProcessExit {
  code: number;
  signal: number;
  /** Of a job: why it failed. */
  message: string;
}

export type SupervisorFailure = AgentFailure;
