// What a step writes, from its VM to the build's progress.

import { settlesWithin } from '../../async/deadline';
import type { ExecOutput } from '../../buildkit/contract/executor';
import { log } from '../../log';
import type { Agent, AgentOutput } from '../../vm/contract/agent';

/** How long output that is still on its way may hold up the step's end, once the guest has told of it. */
const drainTimeoutMs = 10_000;

export class StepOutput {
  readonly channels: { stdout: number; stderr: number };
  readonly #outputs: AgentOutput[];
  readonly #ended: Promise<unknown>;

  /** Before the request that names the channels. Nobody waits for who reads the progress: it is bounded. */
  constructor(agent: Agent, output: ExecOutput) {
    this.channels = { stdout: agent.allocateChannel(), stderr: agent.allocateChannel() };
    const outputs = (['stdout', 'stderr'] as const).map((stream) => ({
      stream,
      channel: agent.openOutput(this.channels[stream]),
    }));
    this.#outputs = outputs.map(({ channel }) => channel);
    this.#ended = Promise.all(
      outputs.map(
        ({ stream, channel }) =>
          new Promise<void>((resolve) => {
            channel.consume({
              onChunk: ({ data, offset }) => {
                output.write(stream, data);
                channel.ack(offset + data.length);
              },
              onEnd: resolve,
              onLost: () => resolve(),
            });
          }),
      ),
    );
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
