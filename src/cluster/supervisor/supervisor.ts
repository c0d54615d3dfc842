// A container's supervisor, as the daemon uses it: each verb is a session of its own.

import { DaemonError } from '../../errors';
import { SupervisorProtocolError, type Frame } from './frame';
import {
  frameKinds,
  type ExecRequest,
  type FollowRequest,
  type FollowStart,
  type ProcessExit,
  type StartRequest,
  type SupervisorJob,
  type SupervisorRequest,
  type SupervisorState,
} from './protocol';
import { parseRecords, type LogBatch, type OutputStream } from './records';
import { booleanField, integerField, parseExit, parseFollowStart, parseObject, parseState } from './replies';
import { SupervisorSession, type OpenControl } from './session';

/** What of a command's log comes, and the way to its input. Close it. */
export interface Following {
  readonly start: FollowStart;
  /** Ends where it was to end; fails when the connection breaks off before. */
  readonly batches: AsyncIterable<LogBatch>;
  readonly input: ProcessInput;
  close(): void;
}

/** The standard input and the terminal of a process. */
export interface ProcessInput {
  /** Resolves when there is room for more; rejects when the session is over. */
  write(data: Buffer): Promise<void>;
  end(): Promise<void>;
  resize(size: { rows: number; columns: number }): Promise<void>;
}

export interface ProcessOutput {
  stream: OutputStream;
  data: Buffer;
}

/** An exec or a job that has begun. Its output ends with its exit; close it if that is not read to its end. */
export interface RunningProcess {
  readonly pid: number;
  readonly output: AsyncIterable<ProcessOutput>;
  readonly input: ProcessInput;
  /** When the output was read to its end. */
  readonly exit: Promise<ProcessExit>;
  close(): void;
}

export interface ExecState {
  running: boolean;
  pid: number;
  code: number;
}

export class Supervisor {
  readonly #open: OpenControl;

  constructor(open: OpenControl) {
    this.#open = open;
  }

  async state(signal?: AbortSignal): Promise<SupervisorState> {
    return parseState(await this.#ask({ verb: 'state' }, signal));
  }

  /** It ends, with the container that it is process 1 of. */
  async end(signal?: AbortSignal): Promise<void> {
    await this.#ask({ verb: 'end' }, signal);
  }

  /** Starts the command, and follows its log from there. Throws AgentError when it can't be run. */
  async start(request: StartRequest, follow: { holds: boolean }, signal?: AbortSignal): Promise<Following> {
    return this.#follow({ verb: 'start', ...request, follow }, signal);
  }

  async follow(request: FollowRequest, signal?: AbortSignal): Promise<Following> {
    return this.#follow({ verb: 'follow', ...request }, signal);
  }

  /** To the command, or an exec. Throws AgentError, ESRCH when it does not run. */
  async signal(signal: number, execId?: string): Promise<void> {
    await this.#ask({ verb: 'signal', signal, ...(execId === undefined ? {} : { id: execId }) });
  }

  async resize(size: { rows: number; columns: number }, execId?: string): Promise<void> {
    await this.#ask({ verb: 'resize', ...size, ...(execId === undefined ? {} : { id: execId }) });
  }

  /** Throws AgentError when it can't be run. Of one that is detached there is neither output nor exit. */
  async exec(request: ExecRequest, signal?: AbortSignal): Promise<RunningProcess> {
    return this.#run({ verb: 'exec', ...request }, signal);
  }

  /** Throws AgentError, ENOENT, for one that has not been started, or is forgotten. */
  async execState(id: string): Promise<ExecState> {
    const fields = await this.#ask({ verb: 'exec-state', id });
    return {
      running: booleanField(fields, 'running'),
      pid: integerField(fields, 'pid'),
      code: integerField(fields, 'code'),
    };
  }

  /** Its exit's code is an errno, 0 for none. */
  async job(job: SupervisorJob, signal?: AbortSignal): Promise<RunningProcess> {
    return this.#run({ verb: 'job', ...job }, signal);
  }

  async #session(request: SupervisorRequest, signal?: AbortSignal): Promise<SupervisorSession> {
    signal?.throwIfAborted();
    return SupervisorSession.open(this.#open, request, signal);
  }

  async #ask(request: SupervisorRequest, signal?: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    const session = await this.#session(request, signal);
    const close = (): void => session.close();
    signal?.addEventListener('abort', close, { once: true });
    try {
      return await session.reply();
    } finally {
      signal?.removeEventListener('abort', close);
      close();
    }
  }

  async #follow(request: SupervisorRequest, signal?: AbortSignal): Promise<Following> {
    const session = await this.#session(request, signal);
    try {
      const start = parseFollowStart(await session.reply());
      return {
        start,
        batches: batchesOf(session),
        input: inputOf(session),
        close: () => session.close(),
      };
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async #run(request: SupervisorRequest, signal?: AbortSignal): Promise<RunningProcess> {
    const session = await this.#session(request, signal);
    try {
      const pid = integerField(await session.reply(), 'pid');
      let settle: { resolve: (exit: ProcessExit) => void; reject: (error: unknown) => void } | undefined;
      const exit = new Promise<ProcessExit>((resolve, reject) => (settle = { resolve, reject }));
      exit.catch(() => undefined); // who reads the output has the failure, too
      return {
        pid,
        output: outputOf(session, (end) => {
          if ('exit' in end) settle?.resolve(end.exit);
          else settle?.reject(end.error);
        }),
        input: inputOf(session),
        exit,
        close: () => session.close(),
      };
    } catch (error) {
      session.close();
      throw error;
    }
  }
}

function inputOf(session: SupervisorSession): ProcessInput {
  return {
    write: (data) => session.write(data),
    end: () => session.endInput(),
    resize: (size) => session.resize(size),
  };
}

async function* batchesOf(session: SupervisorSession): AsyncGenerator<LogBatch, void, undefined> {
  for await (const frame of session.frames()) {
    if (frame.kind === frameKinds.end) return;
    yield parseRecords(expected(frame, frameKinds.records));
  }
  throw brokenOff();
}

async function* outputOf(
  session: SupervisorSession,
  over: (end: { exit: ProcessExit } | { error: unknown }) => void,
): AsyncGenerator<ProcessOutput, void, undefined> {
  try {
    for await (const frame of session.frames()) {
      if (frame.kind === frameKinds.exit) {
        over({ exit: parseExit(parseObject(frame.content)) });
        return;
      }
      if (frame.kind === frameKinds.stdout) yield { stream: 'stdout', data: frame.content };
      else yield { stream: 'stderr', data: expected(frame, frameKinds.stderr) };
    }
    throw brokenOff();
  } catch (error) {
    over({ error });
    throw error;
  } finally {
    over({ error: brokenOff() }); // closed early; settled already otherwise
  }
}

function expected(frame: Frame, kind: number): Buffer {
  if (frame.kind !== kind) throw new SupervisorProtocolError(`a frame of kind ${frame.kind}`);
  return frame.content;
}

function brokenOff(): DaemonError {
  return new DaemonError('Unavailable', "the connection to the container's supervisor is lost");
}
