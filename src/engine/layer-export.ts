// What a container changed, as a layer, from the VM that it has just run in.

import { randomBytes } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { DaemonError } from '../errors';
import type { Agent } from '../vm/agent/agent';
import type { AgentEvent } from '../vm/agent/protocol';

const maxComplaint = 4096;

/** The layer's tar. The stream fails if the guest does, or if not all of it came. */
export function exportLayer(agent: Agent, containerId: string): Readable {
  const stream = new PassThrough({ highWaterMark: 1 << 20 });
  const [stdout, stderr] = [agent.allocateChannel(), agent.allocateChannel()];
  const fail = (reason: string): void => {
    stream.destroy(new DaemonError('Internal', `the container's changes can't be read: ${reason}`));
  };
  const output = agent.openOutput(stdout);
  const ended = new Promise<void>((resolve) => {
    output.consume({
      onChunk: ({ data, offset }) => {
        const acknowledge = (): void => output.ack(offset + data.length);
        if (stream.destroyed || stream.write(data)) acknowledge();
        else stream.once('drain', acknowledge);
      },
      onEnd: resolve,
      onLost: (error) => fail(error.message),
    });
  });
  stream.once('close', () => {
    if (!stream.writableEnded) output.reset();
  });
  const complaint = readComplaint(agent, stderr);
  const id = `layer-${randomBytes(8).toString('hex')}`;
  const stopListening = agent.onEvent((event: AgentEvent) => {
    if (event.event !== 'exit' || event.id !== id) return;
    stopListening();
    const { exitCode } = event.status;
    if (exitCode === 0) void ended.then(() => stream.end());
    else void complaint.then((text) => fail(text === '' ? `error ${String(exitCode)}` : text));
  });
  stream.once('close', stopListening);
  agent
    .request('job.start', { id, containerId, job: { kind: 'layer' }, stdin: 0, stdout, stderr })
    .catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
  return stream;
}

/** What the guest says went wrong; '' if nothing. */
function readComplaint(agent: Agent, channel: number): Promise<string> {
  const output = agent.openOutput(channel);
  let text = '';
  return new Promise((resolve) => {
    output.consume({
      onChunk: ({ data, offset }) => {
        text = (text + data.toString()).slice(0, maxComplaint);
        output.ack(offset + data.length);
      },
      onEnd: () => resolve(text),
      onLost: () => resolve(text),
    });
  });
}
