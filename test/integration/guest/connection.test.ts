// The connection with the agent: lost in the middle of frames, flooded, and fed with nonsense.

import { encodeFrame, Guest } from '../../support/guests/guest-harness';
import { containerSpec, podSpec, processSpec, TestImages } from '../../support/guests/guest-specs';
import { channelWindowBytes, FrameType, syncPreambleZeros } from '../../../src/vm/contract/protocol';

jest.setTimeout(600_000); // what hangs is told earlier, by the VM's own time

const images = new TestImages();
let guest: Guest;
let container: string;

beforeAll(async () => {
  guest = await Guest.start();
  expect(guest.hello).toMatchObject({ version: 1, identified: false, pod: false, containers: [] });
  await guest.identify();
  await guest.request('pod.setup', { pod: podSpec('pod') });
  const disks = [
    { file: images.layer, readOnly: true },
    { file: images.writable(), readOnly: false },
  ];
  const [layer, writable] = await guest.plug(...disks);
  container = 'main';
  const spec = containerSpec(
    container,
    { layers: [layer!], writable: writable! },
    processSpec(['sleep', '100000']),
  );
  await guest.request('container.start', { container: spec });
});

afterAll(async () => {
  await guest.end();
  images.remove();
});

let execs = 0;
async function exec(script: string, stdin?: number): Promise<{ id: string; stdout: number }> {
  const started = { id: `x${execs++}`, stdout: guest.channel() };
  await guest.request('exec.start', {
    id: started.id,
    containerId: container,
    process: processSpec(['sh', '-c', script], {
      stdout: started.stdout,
      ...(stdin === undefined ? {} : { stdin }),
    }),
  });
  return started;
}

const numbered = (count: number): string =>
  Array.from({ length: count }, (_, line) => `line ${line + 1}\n`).join('');
const print = (count: number): string => `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo line $i; done`;

test('a connection dropped in the middle of a frame loses and doubles no byte', async () => {
  const lines = 40_000;
  const { id, stdout } = await exec(print(lines));
  const half = encodeFrame(FrameType.request, 99, Buffer.alloc(50_000, 0x41));
  // Each time at another byte of a frame: in the header, in the payload, before the trailer.
  for (const bytes of [3, 15, 16, 20_000, half.length - 5, half.length - 1]) {
    const before = guest.output.get(stdout)?.length ?? 0;
    await guest.until(
      () => (guest.output.get(stdout)?.length ?? 0) > before || guest.exitOf(id) !== undefined,
      'output',
    );
    await guest.drop(half.subarray(0, bytes));
    const hello = await guest.connect();
    expect(hello.containers).toEqual([expect.objectContaining({ id: container, state: 'running' })]);
  }
  await guest.exit(id);
  expect(guest.text(stdout)).toBe(numbered(lines));
  expect(guest.violations).toEqual([]);
});

test('nobody connected: the window fills, the process waits, and nothing is lost', async () => {
  const lines = 60_000;
  const { id, stdout } = await exec(`${print(lines)}; echo done`);
  await guest.drop();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const hello = await guest.connect();
  const state = hello.channels.find(({ channel }) => channel === stdout);
  expect(state!.outEnd - state!.outAcked).toBeLessThanOrEqual(channelWindowBytes);
  await guest.exit(id);
  expect(guest.text(stdout)).toBe(`${numbered(lines)}done\n`);
  expect(guest.violations).toEqual([]);
});

test('an exit while nobody is connected is told later, once, after the output', async () => {
  guest.autoAck = false;
  const stdin = guest.channel();
  const { id, stdout } = await exec('read word; echo last words; exit 9', stdin);
  // the connection's last frame lets it go on: it can't be over earlier
  await guest.drop(encodeFrame(FrameType.data, stdin, Buffer.concat([Buffer.alloc(8), Buffer.from('go\n')])));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const hello = await guest.connect();
  expect(hello.execs.find((known) => known.id === id)).toMatchObject({ containerId: container });
  expect((await guest.exit(id)).status.exitCode).toBe(9);
  expect(guest.text(stdout)).toBe('last words\n');
  expect(guest.output.get(stdout)?.ended).toBe(true);
  guest.autoAck = true;
  guest.ack(stdout, guest.output.get(stdout)!.length);
  await guest.drop();
  expect((await guest.connect()).channels.map(({ channel }) => channel)).not.toContain(stdout);
  expect(guest.events.filter((event) => event.event === 'exit' && event.id === id)).toHaveLength(1);
});

test('a flood that nobody acknowledges blocks its writer only', async () => {
  guest.autoAck = false;
  const flood = await exec('cat /dev/zero');
  await guest.until(() => (guest.output.get(flood.stdout)?.length ?? 0) >= channelWindowBytes, 'full window');
  guest.autoAck = true;
  const started = Date.now();
  const quick = await exec('echo quick');
  await guest.exit(quick.id);
  expect(Date.now() - started).toBeLessThan(20_000);
  expect(guest.text(quick.stdout)).toBe('quick\n');
  expect(guest.output.get(flood.stdout)!.length).toBe(channelWindowBytes);
  // Not wanted any more: the rest is thrown away, and the process goes on until it is killed.
  guest.send(FrameType.reset, flood.stdout);
  await guest.request('process.signal', { id: flood.id, signal: 9 });
  expect((await guest.exit(flood.id)).status.signal).toBe(9);
});

test('a daemon that is back at once is heard, however often', async () => {
  for (let round = 0; round < 60; round++) {
    await guest.drop(
      round % 2 === 0 ? encodeFrame(FrameType.request, 5, Buffer.from('{}')).subarray(0, round) : undefined,
    );
    expect(await guest.connect(10_000)).toMatchObject({ identified: true });
    if (round % 3 === 0) expect(await guest.request('pod.setup', { pod: podSpec('pod') })).toEqual({});
  }
});

test('stdin survives a reconnection: bytes sent again are taken once', async () => {
  const stdin = guest.channel();
  const { id, stdout } = await exec('cat', stdin);
  guest.input(stdin, 'first ');
  await guest.until(() => guest.text(stdout) === 'first ', 'echo');
  await guest.drop();
  await guest.connect();
  // As a daemon that does not know what arrived: from the start again, with more behind.
  guest.send(FrameType.data, stdin, Buffer.concat([Buffer.alloc(8), Buffer.from('first second')]));
  const end = Buffer.alloc(8);
  end.writeBigUInt64LE(12n);
  guest.send(FrameType.eof, stdin, end);
  await guest.exit(id);
  expect(guest.text(stdout)).toBe('first second');
});

test('a process that closes its stdin resets the channel', async () => {
  const stdin = guest.channel();
  const { id } = await exec('exec <&-; sleep 1', stdin);
  await new Promise((resolve) => setTimeout(resolve, 300));
  guest.input(stdin, 'nobody reads this');
  await guest.until(() => guest.resets.has(stdin), 'reset');
  await guest.exit(id);
});

test('asking again after a lost answer is harmless', async () => {
  const params = { id: 'twice', containerId: container, process: processSpec(['sleep', '1000']) };
  const first = await guest.request('exec.start', params);
  await guest.drop();
  await guest.connect();
  expect(await guest.request('exec.start', params)).toEqual(first);
  await guest.request('pod.setup', { pod: podSpec('pod') });
  await guest.request('process.signal', { id: 'twice', signal: 9 });
  await guest.exit('twice');
});

test('long requests, unknown operations and nonsense', async () => {
  const long = 'x'.repeat(300_000);
  await expect(
    guest.request('container.file', { id: container, path: '/etc/hosts', contentBase64: long }),
  ).resolves.toEqual({});
  await expect(guest.request('nope' as never, {} as never)).rejects.toThrow('no operation nope');
  guest.raw(encodeFrame(FrameType.request, 7777, Buffer.from('{not json')));
  guest.raw(encodeFrame(FrameType.data, 0x8000_0001, Buffer.alloc(4)));
  guest.raw(encodeFrame(FrameType.ack, 424_242, Buffer.alloc(8, 0xff)));
  guest.raw(encodeFrame(FrameType.eventAck, 0, Buffer.alloc(8, 0xff)));
  await expect(guest.request('container.stats', { id: 'none' })).rejects.toThrow('no container none');
  // What is no frame at all makes the agent wait for a new synchronisation.
  guest.raw(Buffer.alloc(1000, 0x5a));
  await guest.drop(Buffer.alloc(syncPreambleZeros / 2));
  expect((await guest.connect()).containers).toHaveLength(1);
});

test('teardown makes the VM ready for another Pod', async () => {
  await exec('sleep 1000');
  await guest.request('pod.teardown', {});
  await guest.unplug(0, 1);
  await guest.drop();
  expect(await guest.connect()).toMatchObject({ pod: false, containers: [], execs: [] });
  await guest.request('pod.setup', { pod: podSpec('another') });
  const [layer, writable] = await guest.plug(
    { file: images.layer, readOnly: true },
    { file: images.writable(), readOnly: false },
  );
  const stdout = guest.channel();
  const spec = containerSpec(
    'again',
    { layers: [layer!], writable: writable! },
    processSpec(['hostname'], { stdout }),
  );
  await guest.request('container.start', { container: spec });
  await guest.exit('again');
  expect(guest.text(stdout)).toBe('pod-host\n');
  await guest.request('shutdown', {});
});
