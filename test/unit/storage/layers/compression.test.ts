import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  createDecompressor,
  toolFailure,
  type Compression,
} from '../../../../src/storage/layers/compression';

async function failureOf(compression: Compression, data: Buffer): Promise<unknown> {
  const input = Readable.from([data, Buffer.alloc(4 << 20), Buffer.alloc(4 << 20)], { objectMode: false });
  const discard = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) expect(chunk.length).toBeGreaterThan(0);
  };
  return pipeline(input, createDecompressor(compression), discard).then(
    () => undefined,
    (error: unknown) => error,
  );
}

test.each<[Compression, Buffer, RegExp]>([
  ['xz', Buffer.from('\u00fd7zXZ\0garbage', 'latin1'), /^xz: .*corrupt/i],
  ['bzip2', Buffer.from('BZh9garbage'), /^bzip2: /],
])('%s that goes away with input left is heard, not its broken pipe', async (compression, data, said) => {
  expect(toolFailure(await failureOf(compression, data))).toMatch(said);
});
