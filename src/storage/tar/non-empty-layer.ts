// A layer without entries is none: dockerd makes no layer of it.

import { Readable } from 'node:stream';
import { tarBlock } from './tar-header';

/** Undefined for the archive of nothing: such a step adds no layer to its image. */
export async function nonEmptyLayer(stream: Readable): Promise<Readable | undefined> {
  const chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < tarBlock) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  if (head.subarray(0, tarBlock).every((byte) => byte === 0)) {
    stream.destroy();
    return undefined;
  }
  async function* whole(): AsyncGenerator<Buffer> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return Readable.from(whole(), { objectMode: false });
}
