// ExecProcess: one stream carries what several processes of a frontend's containers read and write, and how they end.

import { PassThrough } from 'node:stream';
import { drained } from '../../async/drained';
import { errorMessage } from '../../errors';
import { BuildError } from '../contract/errors';
import type { RunningProcess } from '../contract/executor';
import type { ExecMessage, ExecMessageInit, InitMessage } from '../messages/gateway';
import type { ServerStream } from '../wire/server';
import type { FrontendContainers } from './frontend-containers';
import { statusOfError } from './status';

type ExecStream = ServerStream<ExecMessage, ExecMessageInit>;
type Input = NonNullable<ExecMessageInit['Input']>;

const maxProcesses = 64;
const descriptors = { stdin: 0, stdout: 1, stderr: 2 } as const;
/** Of one that never came to its end, in the interface's words. */
const unknownExitStatus = 255;
/** POSIX: what a window may be. */
const maxCells = 65_535;

/** Until the frontend sends no more and all processes have ended; what it leaves is ended by `signal`. */
export async function execProcesses(
  stream: ExecStream,
  containers: FrontendContainers,
  signal: AbortSignal,
): Promise<void> {
  const processes = new Map<string, StreamedProcess>();
  const abort = new AbortController();
  const both = AbortSignal.any([signal, abort.signal]);
  const running: Promise<void>[] = [];
  try {
    for (let next = await stream.receive(); next !== undefined; next = await stream.receive()) {
      const { ProcessID: id, Input: input } = next;
      if (id === '') throw new BuildError('InvalidArgument', 'ProcessID required');
      if (input?.kind === 'Init') {
        if (processes.has(id)) throw new BuildError('FailedPrecondition', `Process ${id} already exists`);
        if (processes.size >= maxProcesses)
          throw new BuildError('ResourceExhausted', 'too many processes in one stream');
        const process = new StreamedProcess(id, input.value, stream);
        processes.set(id, process);
        const run = process.run(containers, both);
        run.catch(() => undefined); // awaited below
        running.push(run);
        continue;
      }
      const process = processes.get(id);
      if (process === undefined)
        throw new BuildError('NotFound', `IO for process ${JSON.stringify(id)} not found`);
      await process.tell(input);
    }
    await Promise.all(running);
  } finally {
    abort.abort(new BuildError('Cancelled', 'context canceled'));
    await Promise.allSettled(running);
  }
}

class StreamedProcess {
  readonly #id: string;
  readonly #init: InitMessage;
  readonly #stream: ExecStream;
  readonly #stdin: PassThrough | undefined;
  /** Undefined: it has ended, or never began. */
  readonly #process: Promise<RunningProcess | undefined>;
  #began: (process: RunningProcess | undefined) => void = () => undefined;

  constructor(id: string, init: InitMessage, stream: ExecStream) {
    this.#id = id;
    this.#init = init;
    this.#stream = stream;
    this.#stdin = init.Fds.includes(descriptors.stdin) ? new PassThrough() : undefined;
    this.#stdin?.on('error', () => undefined); // the process has ended before what it was to read
    this.#process = new Promise((resolve) => (this.#began = resolve));
  }

  /** Rejects when the frontend can't be told, or asked for what there is none of. */
  async run(containers: FrontendContainers, signal: AbortSignal): Promise<void> {
    const streams = {
      write: (stream: 'stdout' | 'stderr', Data: Buffer): Promise<void> | undefined => {
        const Fd = descriptors[stream];
        if (!this.#init.Fds.includes(Fd)) return undefined;
        return this.#send({ kind: 'File', value: { Fd, EOF: false, Data } });
      },
      ...(this.#stdin === undefined ? {} : { input: this.#stdin as AsyncIterable<Buffer> }),
      running: (process: RunningProcess) => this.#began(process),
    };
    const exited = containers.run(this.#init, streams, signal);
    exited.catch(() => undefined); // awaited below
    await this.#send({ kind: 'Started', value: {} });
    const exit = await exited.then(exitOf, failureOf);
    this.#began(undefined);
    this.#stdin?.destroy();
    for (const Fd of [descriptors.stdout, descriptors.stderr]) {
      if (this.#init.Fds.includes(Fd))
        await this.#send({ kind: 'File', value: { Fd, EOF: true, Data: Buffer.alloc(0) } });
    }
    await this.#send({ kind: 'Exit', value: exit });
    await this.#send({ kind: 'Done', value: {} });
  }

  /** Resolves when there is room for more. */
  async tell(input: ExecMessage['Input']): Promise<void> {
    switch (input?.kind) {
      case 'File':
        return this.#input(input.value);
      case 'Resize': {
        const { Rows: rows, Cols: columns } = input.value;
        if (rows > maxCells || columns > maxCells)
          throw new BuildError('InvalidArgument', 'no terminal is so large');
        return (await this.#process)?.resize({ rows, columns });
      }
      case 'Signal':
        return (await this.#process)?.signal(input.value.Name);
      default:
        throw new BuildError('InvalidArgument', 'no message for a process');
    }
  }

  async #input({ Fd, EOF, Data }: { Fd: number; EOF: boolean; Data: Buffer }): Promise<void> {
    const stdin = Fd === descriptors.stdin ? this.#stdin : undefined;
    if (stdin === undefined) throw new BuildError('NotFound', `fd ${Fd} of the process is not open`);
    if (stdin.destroyed || stdin.writableEnded) return;
    const hasRoom = Data.length === 0 || stdin.write(Data);
    if (EOF) stdin.end();
    if (hasRoom || EOF) return;
    await drained(stdin);
  }

  #send(Input: Input): Promise<void> {
    return this.#stream.send({ ProcessID: this.#id, Input });
  }
}

type Exit = Extract<Input, { kind: 'Exit' }>['value'];

function exitOf(Code: number): Exit {
  if (Code === 0) return { Code };
  const { code } = statusOfError(new BuildError('Unknown', ''));
  return { Code, Error: { code, message: `exit code: ${Code}`, details: [] } };
}

function failureOf(error: unknown): Exit {
  const status = statusOfError(error);
  return { Code: unknownExitStatus, Error: { ...status, message: errorMessage(error) } };
}
