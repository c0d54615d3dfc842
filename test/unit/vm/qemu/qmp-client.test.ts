import { QmpClient, type QmpEvent } from '../../../../src/vm/qemu/qmp-client';
import { FakeQmp } from '../../../support/fakes/fake-qmp';

let qemu: FakeQmp;
const clients: QmpClient[] = [];

beforeEach(async () => {
  qemu = await FakeQmp.listen();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await qemu.close();
});

async function connect(): Promise<QmpClient> {
  const client = await QmpClient.connect(qemu.socketPath, { timeoutMs: 5000 });
  clients.push(client);
  return client;
}

test('negotiates before the first command', async () => {
  await connect();
  expect(qemu.commands.map(({ execute }) => execute)).toEqual(['qmp_capabilities']);
});

test('connects to a QEMU that is not there yet', async () => {
  const { socketPath } = qemu;
  await qemu.close();
  const connecting = QmpClient.connect(socketPath, { timeoutMs: 50 });
  await expect(connecting).rejects.toMatchObject({ code: 'Unavailable' });
  qemu = await FakeQmp.listen();
});

test.each([
  ['no greeting', undefined],
  ['a greeting that is none', 'hello\n'],
])('%s', async (_, greeting) => {
  qemu.greeting = greeting;
  await expect(QmpClient.connect(qemu.socketPath, { timeoutMs: 30 })).rejects.toMatchObject({
    code: 'Unavailable',
  });
});

test('gives up when its signal aborts', async () => {
  qemu.greeting = undefined;
  const controller = new AbortController();
  const connecting = QmpClient.connect(qemu.socketPath, { timeoutMs: 60_000, signal: controller.signal });
  controller.abort();
  qemu.drop();
  await expect(connecting).rejects.toMatchObject({ code: 'Unavailable' });
});

test('returns, refusals and answers out of order', async () => {
  const client = await connect();
  qemu.answer = ({ execute, id }) => {
    if (execute === 'slow') return undefined;
    if (execute === 'bad') return { error: { class: 'GenericError', desc: 'no such thing' } };
    qemu.send({ return: 'late', id: id - 2 });
    return { return: 'fast' };
  };
  const slow = client.execute('slow');
  const bad = client.execute('bad');
  const fast = client.execute('fast');
  await expect(bad).rejects.toMatchObject({ name: 'QmpError', message: 'QMP bad: no such thing' });
  expect(await Promise.all([slow, fast])).toEqual(['late', 'fast']);
});

test('all commands of executeAll are written at once; the first refusal comes after all answers', async () => {
  const client = await connect();
  const answered: string[] = [];
  qemu.answer = ({ execute }) => {
    answered.push(execute);
    return execute === 'b' ? { error: { class: 'GenericError', desc: 'no' } } : { return: {} };
  };
  const all = client.executeAll(['a', 'b', 'c'].map((execute) => ({ execute })));
  await expect(all).rejects.toThrow('QMP b: no');
  expect(answered).toEqual(['a', 'b', 'c']);
  expect(qemu.chunks.at(-1)?.split('\n')).toHaveLength(4);
});

test('events go to every listener until it stops', async () => {
  const client = await connect();
  const events: QmpEvent[] = [];
  const stop = client.onEvent((event) => events.push(event));
  qemu.event('STOP');
  qemu.event('DEVICE_DELETED', { device: 'disk1' });
  await client.execute('x');
  stop();
  qemu.event('RESUME');
  await client.execute('x');
  expect(events).toEqual([
    { event: 'STOP', data: {} },
    { event: 'DEVICE_DELETED', data: { device: 'disk1' } },
  ]);
});

test('nonsense is skipped', async () => {
  const client = await connect();
  qemu.send('not json\n');
  qemu.send('null\n');
  qemu.send({ return: {}, id: 'x' });
  qemu.send({ return: {}, id: 999 });
  await expect(client.execute('x')).resolves.toEqual({});
});

test('the end of QEMU rejects what waits, and what comes later', async () => {
  const client = await connect();
  qemu.answer = () => undefined;
  const waiting = client.execute('x');
  waiting.catch(() => undefined);
  qemu.drop();
  await client.closed;
  await expect(waiting).rejects.toMatchObject({ code: 'Unavailable' });
  await expect(client.execute('y')).rejects.toMatchObject({ code: 'Unavailable' });
});

test('a line without end closes the connection', async () => {
  const client = await connect();
  const part = 'x'.repeat(1024 * 1024);
  for (let index = 0; index < 5; index += 1) qemu.send(part);
  await client.closed;
});
