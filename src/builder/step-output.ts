// What a RUN says, for the client.

import { StringDecoder } from 'node:string_decoder';
import type { ContainerOutput } from './host';

const maxHeldText = 16 * 1024;

/** Lines of stderr are told whole, since each piece of it is coloured by itself. Waits for `room` after each piece. */
export async function copyOutput(
  chunks: AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Buffer }>,
  output: ContainerOutput,
  room: () => Promise<void>,
): Promise<void> {
  const decoders = { stdout: new StringDecoder(), stderr: new StringDecoder() };
  let held = '';
  const release = (): void => {
    if (held !== '') output.stderr(held);
    held = '';
  };
  for await (const { stream, data } of chunks) {
    const text = decoders[stream].write(data);
    if (stream === 'stderr') {
      held += text;
      if (held.endsWith('\n') || held.length > maxHeldText) release();
    } else if (text !== '') {
      release();
      output.stdout(text);
    }
    await room();
  }
  held += decoders.stderr.end();
  release();
  const rest = decoders.stdout.end();
  if (rest !== '') output.stdout(rest);
}
