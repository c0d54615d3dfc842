// The pump between a process in a guest and the host: output goes to the log and to who is attached, and is
// acknowledged once the log holds it, so that no crash of the daemon loses or doubles a byte.

import { settlesWithin } from '../../async/deadline';
import { log } from '../../log';
import type { Agent, AgentOutput } from '../../vm/contract/agent';
import type { ContainerLogWriter, LogStream } from '../core/container-log';
import type { ProcessInput, StreamHub } from './stream-hub';

export interface StdioChannels {
  stdin?: number;
  stdout?: number;
  stderr?: number;
}

/** How long output that is still on its way may hold up the news of an exit, once the guest has reported it. */
const drainTimeoutMs = 10_000;

/** One run's streams. Output is consumed from construction on; create it before the request that names the channels. */
export class ProcessStdio {
  readonly #hub: StreamHub;
  readonly #writer: ContainerLogWriter | undefined;
  readonly #outputs: AgentOutput[] = [];
  readonly #drained: Promise<void>[] = [];
  readonly #input: ProcessInput | undefined;
  #lost: Error | undefined;
  #over = false;

  /** Without a writer (exec) output is acknowledged when every client has room. `adopt` goes on after the writer's offsets. */
  constructor(agent: Agent, channels: StdioChannels, hub: StreamHub, writer: ContainerLogWriter | undefined) {
    this.#hub = hub;
    this.#writer = writer;
    if (channels.stdout !== undefined) this.#pump(agent, channels.stdout, 'stdout');
    if (channels.stderr !== undefined) this.#pump(agent, channels.stderr, 'stderr');
    this.#input = channels.stdin === undefined ? undefined : processInput(agent, channels.stdin);
  }

  /** The guest has the process: what clients type may go to it. Before, it would throw the bytes away. */
  openInput(): void {
    if (!this.#over) this.#hub.beginRun(this.#input);
  }

  /** Set when the VM went away under an open stream. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** Resolves when all output has ended and is logged, at the latest after a timeout; then everyone's stream ends. */
  async finish(): Promise<void> {
    this.#over = true;
    if (!(await settlesWithin(Promise.all(this.#drained), drainTimeoutMs))) {
      log.warn('output of an exited process did not end');
      for (const output of this.#outputs) output.reset();
    }
    this.#hub.endRun();
  }

  /** Stops everything at once: the process never started, or its VM is gone. */
  abandon(): void {
    this.#over = true;
    for (const output of this.#outputs) output.reset();
    this.#hub.endRun();
  }

  #pump(agent: Agent, channel: number, stream: LogStream): void {
    const output = agent.openOutput(channel, this.#writer?.durableOffset(stream) ?? 0);
    this.#outputs.push(output);
    this.#drained.push(
      new Promise((resolve) => {
        // Acknowledgements follow the chunks' order although each waits for its own write.
        let last: Promise<void> = Promise.resolve();
        output.consume({
          onChunk: ({ data, offset }) => {
            const run = this.#writer?.run;
            this.#hub.publish(stream, data, run === undefined ? undefined : { run, offset });
            const end = offset + data.length;
            const stored = this.#writer?.append(stream, data, offset) ?? Promise.resolve(end);
            last = Promise.all([stored, last]).then(
              async ([durable]) => {
                if (this.#hub.isFull) await this.#hub.room();
                // Not what the log merely holds, the begin of a line: the guest keeps that for the next daemon.
                output.ack(durable);
              },
              (error: unknown) => {
                log.error('output could not be logged', { channel, error });
                output.ack(end); // the container must not hang because the host's disk is full
              },
            );
          },
          onEnd: () => {
            const ended = last.then(() => this.#writer?.end(stream));
            void ended.then((durable) => output.ack(durable ?? 0)).then(resolve);
          },
          onLost: (error) => {
            this.#lost = error;
            void last.then(resolve);
          },
        });
      }),
    );
  }
}

function processInput(agent: Agent, channel: number): ProcessInput {
  const input = agent.openInput(channel);
  return { write: (data) => input.write(data), end: () => input.end() };
}
