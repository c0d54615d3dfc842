import { once } from 'node:events';
import { AgentClient } from '../../../../src/vm/agent/agent-client';
import type { AgentOutput } from '../../../../src/vm/contract/agent';
import { encodeFrame, encodeMessage } from '../../../../src/vm/agent/frame';
import {
  channelWindowBytes,
  FrameType,
  guestChannelBit,
  syncPreambleZeros,
  type AgentEvent,
} from '../../../../src/vm/contract/protocol';
import { FakeGuest, offsetOf, plainHello } from '../../../support/fakes/fake-agent';

let guest: FakeGuest;
const clients: AgentClient[] = [];

beforeEach(async () => {
  guest = await FakeGuest.listen();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect();
  await guest.close();
});

async function connect(options = {}): Promise<AgentClient> {
  const client = await AgentClient.connect(guest.socketPath, { timeoutMs: 5000, ...options });
  clients.push(client);
  return client;
}

interface Read {
  text: () => string;
  chunks: { offset: number; length: number }[];
  ended: Promise<string>;
  lost: Promise<Error>;
}

function read(output: AgentOutput, options: { ack: boolean } = { ack: true }): Read {
  const parts: Buffer[] = [];
  const chunks: Read['chunks'] = [];
  const text = () => Buffer.concat(parts).toString();
  let onLost: (error: Error) => void = () => undefined;
  const lost = new Promise<Error>((resolve) => (onLost = resolve));
  const ended = new Promise<string>((resolve) => {
    output.consume({
      onChunk: ({ data, offset }) => {
        parts.push(data);
        chunks.push({ offset, length: data.length });
        if (options.ack) output.ack(offset + data.length);
      },
      onEnd: () => resolve(text()),
      onLost,
    });
  });
  return { text, chunks, ended, lost };
}

describe('connecting', () => {
  test('writes the preamble, drops leftovers, says hello', async () => {
    guest.leftovers = encodeFrame(FrameType.hello, 0, Buffer.from('{"version":99}'));
    const client = await connect();
    expect(client.hello).toEqual(plainHello);
    expect(guest.syncBytes).toBe(syncPreambleZeros);
    const hello = await guest.frame((frame) => frame.type === FrameType.hello);
    expect(JSON.parse(hello.payload.toString())).toEqual({ version: 1 });
  });

  test.each([
    ['another version', { ...plainHello, version: 2 }, /speaks version 2/],
    ['no version', { ...plainHello, version: { toString: 'x' } }, /an unknown version/],
    ['channels that are none', { ...plainHello, channels: [{ channel: 'x' }] }, /channel is not a number/],
    ['a channel out of range', { ...plainHello, channels: [channelState(2 ** 32)] }, /out of range/],
    ['a list that is none', { ...plainHello, containers: { length: 3 } }, /not a list/],
  ])('refuses %s', async (_, hello, message) => {
    guest.hello = hello;
    await expect(connect()).rejects.toThrow(message);
  });

  test('gives up at the deadline and on abort', async () => {
    guest.hello = undefined;
    await expect(connect({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'Unavailable' });
    const controller = new AbortController();
    const connecting = connect({ signal: controller.signal });
    controller.abort();
    await expect(connecting).rejects.toMatchObject({ code: 'Unavailable' });
  });

  test('nobody there', async () => {
    await guest.close();
    await expect(connect()).rejects.toMatchObject({ code: 'Unavailable' });
    guest = await FakeGuest.listen();
  });
});

function channelState(channel: number, outAcked = 0, outEnd = 0, inReceived = 0) {
  return { channel, outAcked, outEnd, inReceived };
}

describe('requests', () => {
  test('are answered by id, in any order', async () => {
    guest.answersRequests = false;
    const client = await connect();
    const first = client.request('container.growDisk', { id: 'a' });
    const second = client.request('container.growDisk', { id: 'b' });
    await guest.frame((frame) => frame.type === FrameType.request && frame.channel === 2);
    guest.respond(2, { result: { sizeBytes: 2 } });
    guest.respond(1, { result: { sizeBytes: 1 } });
    expect(await Promise.all([first, second])).toEqual([{ sizeBytes: 1 }, { sizeBytes: 2 }]);
  });

  test('a long request and a long answer are continued', async () => {
    const output = 'line\n'.repeat(60_000);
    guest.answers.set('container.top', () => ({ result: { output, pids: [1, 2] } }));
    const client = await connect();
    const args = Array.from({ length: 20_000 }, () => 'argument');
    const result = await client.request('container.top', { id: 'a', psArgs: args });
    expect(result.output).toHaveLength(output.length);
    expect(guest.requests[0]?.['psArgs']).toHaveLength(20_000);
  });

  test("the agent's refusal is an AgentError", async () => {
    guest.answers.set('exec.start', () => ({
      error: { code: 'ENOENT', phase: 'exec', message: 'run nope' },
    }));
    const client = await connect();
    const failing = client.request('exec.start', { id: 'e', containerId: 'c', process: {} as never });
    await expect(failing).rejects.toMatchObject({
      name: 'AgentError',
      failure: { code: 'ENOENT', phase: 'exec' },
    });
  });

  test('a forged refusal has the shape of one', async () => {
    guest.answers.set('shutdown', () => ({
      error: { code: { a: 1 }, phase: '__proto__', message: 'm'.repeat(9999) },
    }));
    const client = await connect();
    const error = await client.request('shutdown', {}).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ failure: { code: 'EIO', phase: 'request' } });
    expect((error as Error).message.length).toBeLessThan(5000);
  });

  test.each([
    ['no number', { pid: 'x' }],
    ['a negative number', { pid: -1 }],
    ['no object', [1]],
  ])('a result with %s fails that request only', async (_, result) => {
    guest.answers.set('exec.start', () => ({ result }));
    const client = await connect();
    const failing = client.request('exec.start', { id: 'e', containerId: 'c', process: {} as never });
    await expect(failing).rejects.toMatchObject({ code: 'Internal' });
    await expect(client.request('shutdown', {})).resolves.toEqual({});
  });

  test('members of Object.prototype are not set by a message', async () => {
    guest.answers.set('container.stats', () => ({
      result: JSON.parse(
        '{"__proto__": {"polluted": true}, "cpu": {"__proto__": {"polluted": true}}}',
      ) as object,
    }));
    const client = await connect();
    await expect(client.request('container.stats', { id: 'c' })).rejects.toThrow();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('time, abort, and the end of the connection', async () => {
    guest.answersRequests = false;
    const client = await connect();
    await expect(client.request('shutdown', {}, { timeoutMs: 10 })).rejects.toThrow('no answer for 10 ms');
    guest.respond(1, { result: {} }); // comes too late, harms nobody
    const controller = new AbortController();
    const aborted = client.request('shutdown', {}, { signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toThrow('given up');
    await expect(client.request('shutdown', {}, { signal: controller.signal })).rejects.toThrow('given up');
    const pending = client.request('shutdown', {});
    await guest.frame(({ type, channel }) => type === FrameType.request && channel === 3);
    guest.drop();
    await expect(pending).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(client.request('shutdown', {})).rejects.toMatchObject({ code: 'Unavailable' });
    expect(guest.requests.filter(({ op }) => op === 'shutdown')).toHaveLength(3);
  });
});

describe('output', () => {
  test('in order, without repetition; acknowledgements are gathered', async () => {
    const client = await connect();
    const channel = client.allocateChannel();
    const stream = read(client.openOutput(channel));
    guest.data(channel, 0, 'hello ');
    guest.data(channel, 3, 'lo world'); // begins before what is known: 3 bytes again
    guest.eof(channel, 11);
    expect(await stream.ended).toBe('hello world');
    await guest.acknowledged(channel, 11);
  });

  test('200,000 lines in small frames need few acknowledgements', async () => {
    const client = await connect();
    const channel = client.allocateChannel();
    const stream = read(client.openOutput(channel));
    const line = Buffer.from(`${'x'.repeat(59)}\n`);
    let offset = 0;
    for (let sent = 0; sent < 200_000; sent += 2000) {
      const frames: Buffer[] = [];
      for (let index = 0; index < 2000; index += 1) {
        const payload = Buffer.alloc(8 + line.length);
        payload.writeBigUInt64LE(BigInt(offset));
        line.copy(payload, 8);
        frames.push(encodeFrame(FrameType.data, channel, payload));
        offset += line.length;
      }
      guest.write(...frames);
      // What comes next is beyond the window until half of this is acknowledged.
      await guest.acknowledged(channel, offset - channelWindowBytes / 2);
    }
    guest.eof(channel, offset);
    expect((await stream.ended).length).toBe(offset);
    await guest.acknowledged(channel, offset);
    expect(stream.chunks.length).toBeLessThan(5000);
    expect(guest.frames.filter((frame) => frame.type === FrameType.ack).length).toBeLessThan(1000);
  }, 60_000);

  test('waits for its consumer', async () => {
    const client = await connect();
    const channel = client.allocateChannel();
    const output = client.openOutput(channel);
    guest.data(channel, 0, 'early');
    guest.eof(channel, 5);
    await client.request('shutdown', {});
    expect(await read(output).ended).toBe('early');
    await guest.acknowledged(channel, 5);
  });

  test('is lost with the connection, unless it had ended', async () => {
    const client = await connect();
    const [open, ended] = [client.allocateChannel(), client.allocateChannel()];
    const cut = read(client.openOutput(open));
    const whole = read(client.openOutput(ended), { ack: false });
    guest.data(ended, 0, 'x');
    guest.eof(ended, 1);
    await whole.ended;
    guest.drop();
    expect((await cut.lost).message).toContain('agent');
    expect(read(client.openOutput(client.allocateChannel())).lost).toBeInstanceOf(Promise);
  });

  test('reset tells the guest and swallows the rest', async () => {
    const client = await connect();
    const channel = client.allocateChannel();
    const output = client.openOutput(channel);
    const stream = read(output);
    output.reset();
    await guest.frame((frame) => frame.type === FrameType.reset && frame.channel === channel);
    guest.data(channel, 0, 'too late');
    await client.request('shutdown', {});
    expect(stream.text()).toBe('');
  });

  test('comes before the event and the answer that follow it', async () => {
    const client = await connect();
    const channel = client.allocateChannel();
    const stream = read(client.openOutput(channel));
    const seen = new Promise<string>((resolve) => client.onEvent(() => resolve(stream.text())));
    const payload = Buffer.concat([Buffer.alloc(8), Buffer.from('last words')]);
    guest.write(
      encodeFrame(FrameType.data, channel, payload),
      ...encodeMessage(FrameType.event, 0, exitEvent(1)),
    );
    expect(await seen).toBe('last words');
  });
});

describe('a channel of an earlier daemon', () => {
  test('what the guest sends at once is kept until the channel is opened', async () => {
    guest.hello = { ...plainHello, channels: [channelState(5, 10, 20, 7)] };
    const client = await connect();
    guest.data(5, 10, 'abcdefghij');
    guest.eof(5, 20);
    await client.request('shutdown', {});
    expect(client.allocateChannel()).toBe(6);
    const stream = read(client.openOutput(5, 14));
    expect(await stream.ended).toBe('efghij');
    expect(stream.chunks).toEqual([{ offset: 14, length: 6 }]);
    await guest.acknowledged(5, 20);
  });

  test('a full window that is on disk already is acknowledged, so that the guest goes on', async () => {
    guest.hello = { ...plainHello, channels: [channelState(5, 0, channelWindowBytes, 0)] };
    const client = await connect();
    const stream = read(client.openOutput(5, channelWindowBytes));
    for (let offset = 0; offset < channelWindowBytes; offset += 32_768)
      guest.data(5, offset, Buffer.alloc(32_768));
    await guest.acknowledged(5, channelWindowBytes);
    guest.data(5, channelWindowBytes, 'new');
    guest.eof(5, channelWindowBytes + 3);
    expect(await stream.ended).toBe('new');
  });

  test('input goes on where the guest has received it', async () => {
    guest.hello = { ...plainHello, channels: [channelState(5, 0, 0, 7)] };
    const client = await connect();
    await client.openInput(5).write(Buffer.from('more'));
    const frame = await guest.frame(({ type }) => type === FrameType.data);
    expect(offsetOf(frame)).toBe(7);
  });

  test("the guest's own channels do not spoil the daemon's numbers", async () => {
    guest.hello = { ...plainHello, channels: [channelState(guestChannelBit + 3), channelState(2)] };
    expect((await connect()).allocateChannel()).toBe(3);
  });
});

describe('input', () => {
  test('is split, waits for credit, keeps its order, and ends after the last byte', async () => {
    const client = await connect();
    const input = client.openInput(client.allocateChannel());
    const big = Buffer.alloc(channelWindowBytes + 100, 'a');
    let firstDone = false;
    const first = input.write(big).then(() => (firstDone = true));
    const second = input.write(Buffer.from('second'));
    input.end();
    const received = () =>
      guest.frames
        .filter(({ type }) => type === FrameType.data)
        .reduce((sum, { payload }) => sum + payload.length - 8, 0);
    while (received() < channelWindowBytes) await once(guest, 'frame');
    expect(firstDone).toBe(false);
    expect(guest.frames.some(({ type }) => type === FrameType.eof)).toBe(false);
    guest.ack(input.channel, channelWindowBytes);
    await Promise.all([first, second]);
    const eof = await guest.frame(({ type }) => type === FrameType.eof);
    expect(offsetOf(eof)).toBe(big.length + 6);
    expect(received()).toBe(big.length + 6);
    await expect(input.write(Buffer.from('x'))).rejects.toThrow('was ended');
  });

  test('the RESET of the guest is a broken pipe', async () => {
    const client = await connect();
    const input = client.openInput(client.allocateChannel());
    const stuck = input.write(Buffer.alloc(channelWindowBytes + 1));
    guest.send(FrameType.reset, input.channel);
    await expect(stuck).rejects.toMatchObject({ systemCode: 'EPIPE' });
    await expect(input.write(Buffer.from('x'))).rejects.toMatchObject({ systemCode: 'EPIPE' });
  });
});

function exitEvent(seq: number, id = 'c'): AgentEvent {
  return {
    seq,
    event: 'exit',
    kind: 'container',
    id,
    status: { exitCode: 0, signal: 0, oomKilled: false, timeMs: 1 },
  };
}

describe('events', () => {
  test('once each, kept until somebody listens', async () => {
    const client = await connect();
    guest.event(exitEvent(1));
    guest.event(exitEvent(1));
    guest.event({ seq: 2, event: 'news', of: 'a later agent' });
    guest.event({ seq: 3, event: 'oom', containerId: 'c' });
    await client.request('shutdown', {});
    const events: AgentEvent[] = [];
    client.onEvent((event, ack) => {
      events.push(event);
      ack();
    });
    expect(events).toEqual([exitEvent(1), { seq: 3, event: 'oom', containerId: 'c' }]);
    await guest.frame((frame) => frame.type === FrameType.eventAck && offsetOf(frame) === 3);
  });

  test('an acknowledgement never covers one that is not recorded', async () => {
    const client = await connect();
    const acks: (() => void)[] = [];
    const stop = client.onEvent((_, ack) => acks.push(ack));
    for (const seq of [1, 2, 3]) guest.event(exitEvent(seq));
    await client.request('shutdown', {});
    acks[2]?.();
    acks[1]?.();
    await client.request('shutdown', {});
    expect(guest.frames.filter(({ type }) => type === FrameType.eventAck)).toEqual([]);
    acks[0]?.();
    expect(offsetOf(await guest.frame(({ type }) => type === FrameType.eventAck))).toBe(3);
    stop();
    guest.event(exitEvent(4));
    await client.request('shutdown', {});
    expect(acks).toHaveLength(3);
  });
});

describe('a hostile guest ends its own connection', () => {
  test.each<[string, (client: AgentClient) => void]>([
    ['a request', () => guest.send(FrameType.request, 1, Buffer.from('{}'))],
    ['noise', () => guest.write(Buffer.alloc(64, 0x41))],
    [
      'an answer without JSON',
      (client) => {
        guest.answersRequests = false;
        client.request('shutdown', {}).catch(() => undefined);
        guest.send(FrameType.response, 1, Buffer.from('{'));
      },
    ],
    [
      'an answer that is a list',
      (client) => {
        guest.answersRequests = false;
        client.request('shutdown', {}).catch(() => undefined);
        guest.send(FrameType.response, 1, Buffer.from('[]'));
      },
    ],
    [
      'an answer without end',
      (client) => {
        guest.answersRequests = false;
        client.request('shutdown', {}).catch(() => undefined);
        const part = encodeFrame(FrameType.response, 1, Buffer.alloc(65_536, 0x20), true);
        guest.write(...Array.from({ length: 257 }, () => part));
      },
    ],
    ['an event without number', () => guest.event({ event: 'exit' })],
    ['an event without status', () => guest.event({ seq: 1, event: 'exit', id: 'c' })],
    [
      'a flood of events',
      () => {
        for (let seq = 1; seq < 10_010; seq += 1) guest.event({ seq, event: 'oom', containerId: 'c' });
      },
    ],
    ['bytes of a channel that never was', () => guest.data(99, 0, 'x')],
    [
      'a gap',
      (client) => {
        client.openOutput(client.allocateChannel());
        guest.data(1, 1, 'x');
      },
    ],
    [
      'more than the window',
      (client) => {
        client.openOutput(client.allocateChannel());
        for (let offset = 0; offset <= channelWindowBytes; offset += 32_768)
          guest.data(1, offset, Buffer.alloc(32_768));
      },
    ],
    [
      'an end before its bytes',
      (client) => {
        client.openOutput(client.allocateChannel());
        guest.eof(1, 50);
      },
    ],
    [
      'bytes after the end',
      (client) => {
        client.openOutput(client.allocateChannel());
        guest.eof(1, 0);
        guest.data(1, 0, 'x');
      },
    ],
    [
      'an acknowledgement of bytes that were not sent',
      (client) => {
        client.openInput(client.allocateChannel());
        guest.ack(1, 10);
      },
    ],
    [
      'DATA without an offset',
      (client) => {
        client.openOutput(client.allocateChannel());
        guest.send(FrameType.data, 1, Buffer.from('x'));
      },
    ],
  ])('%s', async (_, attack) => {
    const client = await connect();
    attack(client);
    expect(await client.closed).toMatchObject({ code: 'Unavailable', cause: { name: 'ProtocolError' } });
    await expect(client.request('shutdown', {})).rejects.toMatchObject({ code: 'Unavailable' });
  });

  test('a consumer that throws is contained too', async () => {
    const client = await connect();
    const channel = client.allocateChannel();
    client.openOutput(channel).consume({
      onChunk: () => {
        throw new Error('our own mistake');
      },
      onEnd: () => undefined,
      onLost: () => undefined,
    });
    guest.data(channel, 0, 'x');
    expect((await client.closed).message).toContain('our own mistake');
  });
});

describe("the guest's connections", () => {
  const channel = guestChannelBit + 1;

  test('are told of with their first bytes, also those from before there was a listener', async () => {
    const client = await connect();
    guest.data(channel, 0, 'one\n');
    guest.data(channel + 1, 0, 'two\n');
    const texts = await new Promise<string[]>((resolve) => {
      const heard: string[] = [];
      client.onTunnel(({ output }) =>
        output.consume({
          onChunk: ({ data }) => {
            heard.push(data.toString());
            if (heard.length === 2) resolve(heard);
          },
          onEnd: () => undefined,
          onLost: () => undefined,
        }),
      );
    });
    expect(texts).toEqual(['one\n', 'two\n']);
  });

  test('of an earlier daemon are closed, those nobody had served are served', async () => {
    guest.hello = {
      ...plainHello,
      channels: [
        { channel, outAcked: 12, outEnd: 20, inReceived: 5 },
        { channel: channel + 1, outAcked: 0, outEnd: 4, inReceived: 0 },
      ],
    };
    const client = await connect();
    const served: number[] = [];
    client.onTunnel(({ output }) => served.push(output.channel));
    expect(served).toEqual([channel + 1]);
    const reset = await guest.frame(({ type }) => type === FrameType.reset);
    expect(reset.channel).toBe(channel);
    const end = await guest.frame(({ type }) => type === FrameType.eof);
    expect([end.channel, offsetOf(end)]).toEqual([channel, 5]);
  });
});
