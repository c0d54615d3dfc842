import { ReadBuffer } from '../../../../src/network/netd/read-buffer';

/** As a connection that always sends more than there is room for. */
function fill(buffer: ReadBuffer): number {
  const { length } = buffer.next();
  buffer.filled(length);
  return buffer.next().length;
}

test('grows when a read has filled it, and shrinks when one gives little', () => {
  const buffer = new ReadBuffer();
  const small = buffer.next().length;
  expect(fill(buffer)).toBeGreaterThan(small);
  buffer.filled(small);
  expect(buffer.next().length).toBeGreaterThan(small);
  buffer.filled(1);
  expect(buffer.next()).toHaveLength(small);
});

test('all connections together have only so many large ones, and each gives its own back once', () => {
  const small = new ReadBuffer().next().length;
  const buffers = Array.from({ length: 100 }, () => new ReadBuffer());
  const large = buffers.filter((buffer) => fill(buffer) > small);
  expect(large).toHaveLength(64);
  const late = buffers.at(-1);
  large[0]?.release();
  large[0]?.release();
  expect(late && fill(late)).toBeGreaterThan(small);
  expect(fill(new ReadBuffer())).toBe(small);
  for (const buffer of buffers) buffer.release();
});
