// What a step reads and writes, between its VM and whoever has the other ends: the build's progress, or one who speaks with it.

import { settlesWithin } from '../../async/deadline';
import type { ExecOutput } from '../../buildkit/contract/executor';
import { log } from '../../log';
import type { Agent, AgentOutput } from '../../vm/contract/agent';

/** How long output that is still on its way may hold up the step's end, once the guest has told of it. */
const drainTimeoutMs = 10_000;

export class StepOutput {
  /** A terminal has one output. */
  readonly channels: { stdin?: number; stdout: number; stderr?: number };
  readonly #outputs: AgentOutput[];
  readonly #ended: Promise<unknown>;

  readonly #agent: Agent;
  readonly #input: AsyncIterable<Buffer> | undefined;

  /** Before the request that names the channels. */
  constructor(agent: Agent, output: Pick<ExecOutput, 'write' | 'input'>, terminal: boolean) {
    this.#agent = agent;
    this.#input = output.input;
    const stdout = agent.allocateChannel();
    this.channels = {
      ...(output.input === undefined ? {} : { stdin: agent.allocateChannel() }),
      stdout,
      ...(terminal ? {} : { stderr: agent.allocateChannel() }),
    };
    const outputs = (['stdout', 'stderr'] as const).flatMap((stream) => {
      const number = this.channels[stream];
      return number === undefined ? [] : [{ stream, channel: agent.openOutput(number) }];
    });
    this.#outputs = outputs.map(({ channel }) => channel);
    this.#ended = Promise.all(
      outputs.map(
        ({ stream, channel }) =>
          new Promise<void>((resolve) => {
            channel.consume({
              onChunk: ({ data, offset }) => {
                const taken = output.write(stream, data);
                const acknowledge = (): void => channel.ack(offset + data.length);
                if (taken === undefined) acknowledge();
                // one who takes no more has no part in how the process ends
                else void taken.then(acknowledge, acknowledge);
              },
              onEnd: resolve,
              onLost: () => resolve(),
            });
          }),
      ),
    );
  }

  /** The guest has the process: before, it would throw the bytes away. */
  begun(): void {
    const { stdin } = this.channels;
    if (stdin === undefined || this.#input === undefined) return;
    const input = this.#agent.openInput(stdin);
    const pump = async (bytes: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of bytes) await input.write(chunk);
    };
    pump(this.#input)
      // the process has closed it or is gone; or who wrote it is
      .catch((error: unknown) => log.debug('input of a build’s step has ended', { error }))
      .finally(() => input.end());
  }

  /** All of it was told. */
  async drained(): Promise<void> {
    if (await settlesWithin(this.#ended, drainTimeoutMs)) return;
    log.warn('output of a build’s step did not end');
    this.abandon();
  }

  abandon(): void {
    for (const output of this.#outputs) output.reset();
  }
}
