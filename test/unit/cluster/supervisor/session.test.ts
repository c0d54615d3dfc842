// A daemon's end of a session: what comes may be written by the container itself.

import { PassThrough } from 'node:stream';
import { encodeFrame, FrameDecoder } from '../../../../src/cluster/supervisor/frame';
import { frameKinds, inputAheadBytes, maxDataBytes } from '../../../../src/cluster/supervisor/protocol';
import { parseRecords } from '../../../../src/cluster/supervisor/records';
import type { ControlConnection } from '../../../../src/cluster/supervisor/session';
import { Supervisor } from '../../../../src/cluster/supervisor/supervisor';

function frame(kind: number, content: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

function record(kind: number, flags: number, content: string): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(content.length, 0);
  header[4] = kind;
  header[5] = flags;
  header.writeBigInt64LE(5n, 8);
  const trailer = Buffer.alloc(4);
  trailer.writeUInt32LE(20 + content.length, 0);
  return Buffer.concat([header, Buffer.from(content), trailer]);
}

/** A supervisor whose other end the test holds. */
function fake(): { supervisor: Supervisor; output: PassThrough; written: Buffer[] } {
  const output = new PassThrough();
  const written: Buffer[] = [];
  const connection: ControlConnection = {
    output,
    write: (data) => {
      written.push(data);
      return Promise.resolve();
    },
    close: () => output.destroy(),
  };
  return { supervisor: new Supervisor(() => Promise.resolve(connection)), output, written };
}

const state = {
  state: 'running',
  run: 1,
  pid: 7,
  startedAt: '1790000000000000001',
  finishedAt: '0',
  code: 0,
  signal: 0,
  oom: false,
  first: 0,
  end: 0,
};

test('frames in pieces', () => {
  const decoder = new FrameDecoder();
  const bytes = Buffer.concat([frame(frameKinds.stdout, 'one'), frame(frameKinds.stderr, 'two')]);
  const frames = [...bytes].flatMap((byte) => decoder.push(Buffer.of(byte)));
  expect(frames.map(({ kind, content }) => [kind, content.toString()])).toEqual([
    [frameKinds.stdout, 'one'],
    [frameKinds.stderr, 'two'],
  ]);
});

test('frames of unknown kinds or lengths end the session', () => {
  expect(() => new FrameDecoder().push(frame(99))).toThrow('a frame of kind 99');
  const long = frame(frameKinds.stdout);
  long.writeUInt32LE(maxDataBytes + 1, 4);
  expect(() => new FrameDecoder().push(long)).toThrow(`a frame of ${maxDataBytes + 1} bytes`);
  expect(() => encodeFrame(frameKinds.input, Buffer.alloc(maxDataBytes + 1))).toThrow('a frame of');
});

test.each([
  ['cut off', record(1, 0, 'text').subarray(0, 18)],
  ['of no known kind', record(9, 0, 'text')],
  ['of a state that is no object', record(3, 0, '[]')],
  ['of a change that is not known', record(3, 0, '{"run":1,"event":"burnt"}')],
])('a record %s is refused', (_, bytes) => {
  expect(() => parseRecords(Buffer.concat([Buffer.alloc(8), bytes]))).toThrow();
});

test('records know their positions', () => {
  const position = Buffer.alloc(8);
  position.writeBigUInt64LE(100n);
  const batch = parseRecords(
    Buffer.concat([position, record(1, 1, 'a\n'), record(3, 0, '{"run":1,"event":"started","pid":2}')]),
  );
  expect(batch.position).toBe(100);
  expect(batch.events).toMatchObject([
    { kind: 'output', stream: 'stdout', ends: true, timeNs: 5n, position: 122 },
    { kind: 'started', run: 1, pid: 2 },
  ]);
});

test('an answer is checked, a refusal is an error', async () => {
  const good = fake();
  good.output.write(frame(frameKinds.reply, JSON.stringify(state)));
  expect(await good.supervisor.state()).toMatchObject({ run: 1, startedAt: 1790000000000000001n });
  const bad = fake();
  bad.output.write(frame(frameKinds.reply, JSON.stringify({ ...state, run: -1 })));
  await expect(bad.supervisor.state()).rejects.toThrow('an answer without run');
  const refused = fake();
  refused.output.write(
    frame(
      frameKinds.failure,
      JSON.stringify({ code: 'ESRCH', phase: 'request', message: 'not running yet' }),
    ),
  );
  await expect(refused.supervisor.state()).rejects.toMatchObject({ failure: { code: 'ESRCH' } });
  const gone = fake();
  gone.output.end();
  await expect(gone.supervisor.state()).rejects.toMatchObject({ code: 'Unavailable' });
});

test('a connection that breaks off is no end of the log', async () => {
  const { supervisor, output } = fake();
  output.write(frame(frameKinds.reply, JSON.stringify({ ...state, position: 0, skip: 0 })));
  const { batches } = await supervisor.follow({ from: 0, follow: true, holds: false });
  output.end();
  await expect(batches[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'Unavailable' });
});

test('input is sent ahead no further than is agreed', async () => {
  const { supervisor, output, written } = fake();
  output.write(frame(frameKinds.reply, '{"pid":3}'));
  const running = await supervisor.exec({
    id: 'e',
    process: {} as never,
    stdin: true,
    stdout: true,
    stderr: true,
    detach: false,
  });
  const done = running.input.write(Buffer.alloc(inputAheadBytes + 1));
  await new Promise(setImmediate);
  const sent = (): number => written.slice(1).reduce((sum, bytes) => sum + bytes.length - 8, 0);
  expect(sent()).toBe(inputAheadBytes);
  const taken = Buffer.alloc(4);
  taken.writeUInt32LE(maxDataBytes);
  output.write(frame(frameKinds.taken, taken));
  await done;
  expect(sent()).toBe(inputAheadBytes + 1);
  output.end(frame(frameKinds.exit, '{"code":3,"signal":0,"message":""}'));
  const iterator = running.output[Symbol.asyncIterator]();
  expect(await iterator.next()).toMatchObject({ done: true });
  expect(await running.exit).toMatchObject({ code: 3 });
});
