// The pump between a process in a guest and the host: output goes to the log and to who is attached, and is
// acknowledged once the log holds it, so that no crash of the daemon loses or doubles a byte.

import { settlesWithin, type Clock } from '../../async/deadline';
import { log } from '../../log';
import type { Agent, AgentOutput } from '../../vm/contract/agent';
import type { ContainerLogWriter } from '../core/container-log';
import type { LogStream } from '../../semantics/logs/log-record';
import type { ProcessInput, StreamHub } from '../../semantics/streams/stream-hub';

export interface StdioChannels {
  stdin?: number;
  stdout?: number;
  stderr?: number;
}

/**
 * How long output that is still on its way may hold up the news of an exit, once the guest has reported it. The guest sends the ends
 * of its streams first, so only one that has gone wrong comes near it; writing the log is not counted.
 */
const drainTimeoutMs = 10_000;

/** One run's streams. Output is consumed from construction on; create it before the request that names the channels. */
export class ProcessStdio {
  readonly #hub: StreamHub;
  readonly #writer: ContainerLogWriter | undefined;
  readonly #outputs: AgentOutput[] = [];
  /** Of each stream: all of it has come. */
  readonly #ended: Promise<void>[] = [];
  /** Of each stream, the last of it: the log has what has come. */
  readonly #stored: (() => Promise<unknown>)[] = [];
  readonly #clock: Clock;
  readonly #input: ProcessInput | undefined;
  #lost: Error | undefined;
  #over = false;

  /** Without a writer (exec) output is acknowledged when every client has room. `adopt` goes on after the writer's offsets. */
  constructor(agent: Agent, channels: StdioChannels, hub: StreamHub, writer: ContainerLogWriter | undefined) {
    this.#hub = hub;
    this.#writer = writer;
    this.#clock = agent.clock;
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

  /** Resolves when all output has ended and is logged; then everyone's stream ends. */
  async finish(): Promise<void> {
    this.#over = true;
    if (!(await settlesWithin(Promise.all(this.#ended), drainTimeoutMs, this.#clock))) {
      log.warn('output of an exited process did not end');
      for (const output of this.#outputs) output.reset();
    }
    // However long that takes on a busy host: whoever learns of the exit finds the output in the log.
    await Promise.all(this.#stored.map((stored) => stored()));
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
    // Both follow the chunks' order, although each waits for its own write.
    let stored: Promise<unknown> = Promise.resolve();
    let acknowledged: Promise<void> = Promise.resolve();
    this.#stored.push(() => stored);
    this.#ended.push(
      new Promise((resolve) => {
        output.consume({
          onChunk: ({ data, offset }) => {
            const run = this.#writer?.run;
            this.#hub.publish(stream, data, run === undefined ? undefined : { run, offset });
            const end = offset + data.length;
            const writing = (this.#writer?.append(stream, data, offset) ?? Promise.resolve(end)).catch(
              (error: unknown) => {
                log.error('output could not be logged', { channel, error });
                return end; // the container must not hang because the host's disk is full
              },
            );
            stored = Promise.all([writing, stored]).then(() => undefined);
            acknowledged = Promise.all([writing, acknowledged]).then(async ([durable]) => {
              if (this.#hub.isFull) await this.#hub.room();
              // Not what the log merely holds, the begin of a line: the guest keeps that for the next daemon.
              output.ack(durable);
            });
          },
          onEnd: () => {
            const writing = stored.then(() => this.#writer?.end(stream));
            stored = writing;
            void Promise.all([writing, acknowledged]).then(([durable]) => output.ack(durable ?? 0));
            resolve();
          },
          onLost: (error) => {
            this.#lost = error;
            resolve();
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
