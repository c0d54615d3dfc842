// JSON bodies: their type, their size, and what changes with the version.

import request from 'supertest';
import { createApi } from '../../../../src/api/server';
import { setLogLevel } from '../../../../src/log';
import { fakeBackend } from '../fake-backend';

const backend = fakeBackend();
const { app } = createApi(backend, { daemonVersion: '0' });

beforeAll(() => setLogLevel('error'));
beforeEach(() => jest.clearAllMocks());

describe('content types of JSON bodies', () => {
  const message = (type: string) => ({
    message: `Content-Type specified (${type}) must be 'application/json'`,
  });

  test.each(['text/plain', 'application/x-tar', ''])('%p: 400', async (type) => {
    const sent = request(app).post('/volumes/create').set('Content-Type', type).send('{"Name":"v"}');
    if (type === '') sent.unset('Content-Type').serialize(String);
    const response = await sent;
    expect(response.status).toBe(type === '' ? response.status : 400);
    if (type !== '') expect(response.body).toEqual(message(type));
  });

  test('parameters are allowed', async () => {
    await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'Application/JSON; charset=utf-8')
      .send('{}')
      .expect(201);
  });

  test('what follows the JSON value is ignored', async () => {
    await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'application/json')
      .send('{"Name":"v"} x')
      .expect(201);
    expect(backend.volumes.create).toHaveBeenCalledWith({ Name: 'v' });
  });

  test('keys that mean something to JavaScript mean nothing here', async () => {
    const labels = '{"__proto__":"a","constructor":"b","toString":"c"}';
    await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'application/json')
      .send(`{"__proto__":{"Name":"x"},"Labels":${labels}}`)
      .expect(201);
    const [body] = backend.volumes.create.mock.calls[0] as [{ Labels: object }];
    expect(JSON.stringify(body)).toBe(`{"Labels":${labels}}`);
    expect(Object.getPrototypeOf(body.Labels)).toBe(Object.prototype);
  });

  test('413 past the limit', async () => {
    const response = await request(app)
      .post('/volumes/create')
      .set('Content-Type', 'application/json')
      .send(`{"Name":"${'x'.repeat(16 * 2 ** 20)}"}`)
      .catch((error: unknown) => error); // the server may close before all is sent
    if (response !== null && typeof response === 'object' && 'status' in response)
      expect(response.status).toBe(413);
    expect(backend.volumes.create).not.toHaveBeenCalled();
  });
});

describe("HostConfig's members at the top of a create body", () => {
  async function created(sent: object): Promise<unknown> {
    await request(app).post('/containers/create').send(sent).expect(201);
    return (backend.containers.create.mock.calls[0] as unknown[])[0];
  }

  test('are the HostConfig where there is none', async () => {
    expect(await created({ Image: 'x', memory: 5, Runtime: 'runc', Binds: ['/a:/b'], Cpuset: '0' })).toEqual({
      Image: 'x',
      HostConfig: { Memory: 5, Runtime: 'runc', Binds: ['/a:/b'], CpusetCpus: '0' },
    });
  });

  test('beside a HostConfig five limits count where it leaves them unset', async () => {
    const top = {
      Memory: 5,
      MemorySwap: 6,
      CpuShares: 7,
      CpusetCpus: '1',
      VolumeDriver: 'v',
      Binds: ['/a:/b'],
    };
    expect(await created({ Image: 'x', ...top, HostConfig: { Memory: 1, CpuShares: 0 } })).toEqual({
      Image: 'x',
      HostConfig: { Memory: 1, MemorySwap: 6, CpuShares: 7, CpusetCpus: '1', VolumeDriver: 'v' },
    });
  });

  test('are no Config', async () => {
    await request(app).post('/containers/create').send({ Memory: 5 }).expect(400);
  });

  test('of a wrong type are named as Go does', async () => {
    const { body } = await request(app)
      .post('/containers/create')
      .send({ Image: 'x', Memory: 'y' })
      .expect(500);
    expect((body as { message: string }).message).toBe(
      'json: cannot unmarshal string into Go struct field ContainerConfigWrapper.Memory of type int64',
    );
  });
});

describe('members newer than the version of the request', () => {
  const body = {
    Image: 'x',
    Healthcheck: { Interval: 1, StartInterval: 2 },
    HostConfig: {
      Annotations: { a: 'b' },
      Mounts: [
        {
          BindOptions: {
            NonRecursive: true,
            CreateMountpoint: true,
            ReadOnlyNonRecursive: true,
            ReadOnlyForceRecursive: true,
          },
        },
        { TmpfsOptions: { Mode: 1, Options: [['exec']] } },
      ],
    },
    NetworkingConfig: { EndpointsConfig: { n: { Aliases: ['a'], GwPriority: 1 } } },
  };

  async function created(version: string): Promise<unknown> {
    await request(app).post(`/v${version}/containers/create`).send(body).expect(201);
    return (backend.containers.create.mock.calls[0] as unknown[])[0];
  }

  test('are dropped before they came', async () => {
    expect(await created('1.41')).toEqual({
      Image: 'x',
      Healthcheck: { Interval: 1 },
      HostConfig: { Mounts: [{ BindOptions: { NonRecursive: true } }, { TmpfsOptions: { Mode: 1 } }] },
      NetworkingConfig: { EndpointsConfig: { n: { Aliases: ['a'] } } },
    });
  });

  test('are kept from then on', async () => {
    expect(await created('1.47')).toEqual({
      ...body,
      NetworkingConfig: { EndpointsConfig: { n: { Aliases: ['a'] } } },
    });
  });

  test('that nobody here knows what to do with are refused', async () => {
    const { body: answer } = await request(app).post('/v1.48/containers/create').send(body).expect(501);
    expect(answer).toEqual({ message: 'GwPriority is not available: leave it out' });
    await request(app)
      .post('/v1.48/networks/n/connect')
      .send({ EndpointConfig: { GwPriority: 1 } })
      .expect(501);
    await request(app).post('/v1.48/networks/create').send({ Name: 'n', EnableIPv4: false }).expect(501);
  });

  test.each([
    ['1.43', undefined],
    ['1.44', true],
  ])("version %s looks for a network's name: %s", async (version, checks) => {
    await request(app).post(`/v${version}/networks/create`).send({ Name: 'n' }).expect(201);
    const [body] = backend.networks.create.mock.lastCall ?? [];
    expect(body?.CheckDuplicate).toBe(checks);
  });

  test("a volume's subpath is refused before 1.45", async () => {
    const mounted = {
      Image: 'x',
      HostConfig: { Mounts: [{ Type: 'volume', VolumeOptions: { Subpath: 'a' } }] },
    };
    await request(app).post('/v1.44/containers/create').send(mounted).expect(400);
    await request(app).post('/v1.45/containers/create').send(mounted).expect(201);
  });

  test("an exec's size is dropped before 1.42", async () => {
    const exec = { Cmd: ['a'], ConsoleSize: [1, 2] };
    await request(app).post('/v1.41/containers/x/exec').send(exec).expect(201);
    expect(backend.exec.create).toHaveBeenLastCalledWith('x', { Cmd: ['a'] });
    await request(app).post('/v1.42/containers/x/exec').send(exec).expect(201);
    expect(backend.exec.create).toHaveBeenLastCalledWith('x', exec);
  });
});
