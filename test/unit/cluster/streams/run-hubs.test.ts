// Who is attached to a container of the cluster gets a run's output once, whichever daemon starts it.

import { RunHubs, wholeLog } from '../../../../src/cluster/streams/run-hubs';
import type { ContainerReach } from '../../../../src/cluster/streams/reach';
import type { LogEvent } from '../../../../src/cluster/supervisor/records';
import type { Following } from '../../../../src/cluster/supervisor/supervisor';

function output(text: string, position = 9): LogEvent {
  return { kind: 'output', stream: 'stdout', data: Buffer.from(text), ends: true, timeNs: 1n, position };
}
const exited: LogEvent = { kind: 'exited', run: 1, code: 0, signal: 0, oom: false, timeNs: 1n, position: 10 };

interface Fake {
  hubs: RunHubs;
  container: never;
  follows: object[];
  /** Its record changes; '': it is gone, and its Pod. */
  become(kind: string): void;
}

function fake(kind: string, events: LogEvent[]): Fake {
  const listeners = new Set<() => void>();
  const container = { id: 'c', state: { kind }, record: { config: { OpenStdin: false } } };
  const follows: object[] = [];
  const supervisor = {
    state: () => Promise.resolve({ end: 5 }),
    follow: (request: object) => {
      follows.push(request);
      return Promise.resolve(following(events));
    },
  };
  const reach = {
    isKnown: () => container.state.kind !== '',
    supervisor: () => (container.state.kind === '' ? undefined : supervisor),
    onChange: (_: unknown, listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const become = (next: string): void => {
    container.state = { kind: next };
    for (const listener of [...listeners]) listener();
  };
  const hubs = new RunHubs(() => reach as unknown as ContainerReach);
  return { hubs, container: container as never, follows, become };
}

function following(events: LogEvent[], closed = jest.fn()): Following & { close: jest.Mock } {
  return {
    start: { position: 7, run: 1 } as never,
    batches: (async function* () {
      await Promise.resolve();
      yield { position: 7, events };
    })(),
    input: {} as never,
    close: closed,
  };
}

async function read(subscription: AsyncIterable<{ data: Buffer }>): Promise<string> {
  let text = '';
  for await (const { data } of subscription) text += data.toString();
  return text;
}

test('of one that runs, from now on', async () => {
  const { hubs, container, follows } = fake('running', [output('now\n'), exited]);
  const { subscription } = await hubs.attach(container, { stdout: true, stderr: true });
  expect(await read(subscription)).toBe('now\n');
  expect(follows).toEqual([{ tail: 0, follow: true, holds: true }]);
});

test('a start by another daemon is followed from where the log was', async () => {
  const { hubs, container, follows, become } = fake('created', [output('theirs\n'), exited]);
  const { subscription } = await hubs.attach(container, { stdout: true, stderr: true });
  become('running');
  expect(await read(subscription)).toBe('theirs\n');
  expect(follows).toEqual([{ from: 5, follow: true, holds: true }]);
});

test('a start of this daemon hands its own session over', async () => {
  const { hubs, container, follows, become } = fake('created', []);
  expect(hubs.holds('c')).toBe(false);
  const { subscription, close } = await hubs.attach(container, { stdout: true, stderr: true });
  expect(hubs.holds('c')).toBe(true);
  become('running');
  hubs.begun('c', following([output('mine\n'), exited]));
  expect(await read(subscription)).toBe('mine\n');
  expect(follows).toEqual([]);
  close();
  const late = following([]);
  hubs.begun('c', late);
  expect(late.close).toHaveBeenCalled();
});

test('a start of this daemon whose container is gone before it is handed over', async () => {
  const { hubs, container, follows, become } = fake('created', []);
  const { subscription } = await hubs.attach(container, { stdout: true, stderr: true });
  hubs.holds('c');
  for (const kind of ['running', 'exited', 'removing', '']) become(kind);
  hubs.begun('c', following([output('quick\n'), exited]));
  expect(await read(subscription)).toBe('quick\n');
  expect(follows).toEqual([]);
});

test('a start that fails has what its supervisor said told', async () => {
  const { hubs, container, follows, become } = fake('created', [output('no such file\n'), exited]);
  const { subscription } = await hubs.attach(container, { stdout: true, stderr: true });
  hubs.holds('c');
  become('exited');
  expect(follows).toEqual([]);
  hubs.failed('c');
  expect(await read(subscription)).toBe('no such file\n');
});

test('what a client has from the log is not brought once more, however late it comes', async () => {
  const { hubs, container } = fake('running', [output('old\n', 40), output('new\n', 80), exited]);
  const { subscription } = await hubs.attach(container, { stdout: true, stderr: true });
  subscription.skipTo(wholeLog, { stdout: 40, stderr: 0 });
  expect(await read(subscription)).toBe('new\n');
});

test('of a line that had not ended, the client gets what the log did not have', async () => {
  const { hubs, container } = fake('running', [output('old\nbe', 80), output('gun\n', 120), exited]);
  const { subscription } = await hubs.attach(container, { stdout: true, stderr: true });
  subscription.skipTo(wholeLog, { stdout: 78, stderr: 0 });
  expect(await read(subscription)).toBe('begun\n');
});
