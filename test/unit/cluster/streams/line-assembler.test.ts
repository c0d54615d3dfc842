import { LineAssembler } from '../../../../src/cluster/streams/line-assembler';
import type { OutputStream } from '../../../../src/cluster/supervisor/records';

function push(assembler: LineAssembler, stream: OutputStream, text: string, ends: boolean): string[] {
  const event = { kind: 'output', stream, data: Buffer.from(text), ends, timeNs: 1n, position: 0 } as const;
  return assembler.push(event).map(({ log, time }) => `${time} ${log}`);
}

const first = '1970-01-01T00:00:00.000000001Z';
const second = '1970-01-01T00:00:00.000000002Z';

test('several lines of one record have times one after the other', () => {
  expect(push(new LineAssembler(undefined), 'stdout', 'a\nb\n', true)).toEqual([
    `${first} a\n`,
    `${second} b\n`,
  ]);
});

test('a line in pieces is one, whatever the other stream says in between', () => {
  const assembler = new LineAssembler(undefined);
  expect(push(assembler, 'stdout', 'x\nbe', false)).toEqual([`${first} x\n`]);
  expect(push(assembler, 'stderr', 'error\n', true)).toEqual([`${first} error\n`]);
  expect(push(assembler, 'stdout', 'gun\n', true)).toEqual([`${first} begun\n`]);
});

test('a line that the end of its stream has cut off, and parts of long ones', () => {
  const assembler = new LineAssembler({ tag: 'web' });
  expect(push(assembler, 'stdout', 'rest', false)).toEqual([]);
  expect(push(assembler, 'stdout', '', true)).toEqual([`${first} rest`]);
  expect(push(assembler, 'stdout', 'part', true)).toEqual([`${first} part`]);
  expect(push(assembler, 'stdout', '', true)).toEqual([]);
});

test('where the last line that has ended lies', () => {
  const assembler = new LineAssembler(undefined);
  const at = (text: string, ends: boolean, position: number): number => {
    assembler.push({ kind: 'output', stream: 'stdout', data: Buffer.from(text), ends, timeNs: 1n, position });
    return assembler.endedAt.stdout;
  };
  expect(at('one\n', true, 40)).toBe(40);
  expect(at('two\nbe', false, 80)).toBe(78);
  expect(at('gi', false, 120)).toBe(78);
  expect(at('n\n', true, 160)).toBe(160);
  expect(assembler.endedAt.stderr).toBe(0);
});
