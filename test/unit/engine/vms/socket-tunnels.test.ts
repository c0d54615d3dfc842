import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunningPod } from '../../../../src/engine/vms/running-pod';
import { socketBehind } from '../../../../src/engine/mounts/socket-source';
import { apiSocketPath } from '../../../../src/config';
import { SocketTunnels, tunnelName } from '../../../../src/engine/vms/socket-tunnels';
import { FakeInput, FakeOutput } from '../../../support/fakes/engine-fakes';

const containerId = 'ab'.repeat(32);
let directory: string;
let path: string;
let server: Server;
let api: Server;
const apiPath = (): string => join(directory, 'api.sock');

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'caisson-tunnel-'));
  path = join(directory, 'service.sock');
  server = createServer({ allowHalfOpen: true }).listen(path);
  api = createServer().listen(apiPath());
  await Promise.all([once(server, 'listening'), once(api, 'listening')]);
});

afterEach(() => {
  server.close();
  api.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Tunnels of a VM with one container that has binds of these sockets. */
function tunnels(...sources: string[]): { open: (name: string) => { output: FakeOutput; input: FakeInput } } {
  const pod = { vm: { id: 'vm' }, members: new Map([[containerId, {}]]) } as unknown as RunningPod;
  const serving = new SocketTunnels();
  serving.allow(
    containerId,
    Object.fromEntries(sources.map((source, index) => [tunnelName(containerId, index), source])),
  );
  // Another container's, of another VM.
  serving.allow('cd'.repeat(32), { [tunnelName('cd'.repeat(32), 0)]: path });
  let channel = 0x8000_0000;
  return {
    open: (name) => {
      const output = new FakeOutput(channel, 0);
      const input = new FakeInput(channel++);
      serving.serve(pod, { output, input });
      output.write(`${name}\n`);
      return { output, input };
    },
  };
}

async function accepted(of: Server): Promise<Socket> {
  const [socket] = (await once(of, 'connection')) as [Socket];
  return socket;
}

describe('what a bind source stands for', () => {
  test('a socket, with its mode', async () => {
    chmodSync(path, 0o640);
    expect(await socketBehind(path, undefined)).toMatchObject({ path, mode: 0o640 });
  });

  test.each(['/var/run/docker.sock', '/run/docker.sock'])('%s is our own', async (docker) => {
    expect(await socketBehind(docker, apiPath())).toMatchObject({ path: apiPath() });
  });

  test('the one that DOCKER_HOST names is our own', async () => {
    const before = process.env['DOCKER_HOST'];
    process.env['DOCKER_HOST'] = 'unix:///somewhere/else.sock';
    try {
      expect(await socketBehind('/somewhere/else.sock', apiPath())).toMatchObject({ path: apiPath() });
    } finally {
      if (before === undefined) delete process.env['DOCKER_HOST'];
      else process.env['DOCKER_HOST'] = before;
    }
  });

  test.each([tmpdir(), '/nowhere/at/all'])('%s is no socket', async (other) => {
    expect(await socketBehind(other, apiPath())).toBeUndefined();
  });

  test('the first unix socket of the API', () => {
    expect(apiSocketPath(['tcp://127.0.0.1:1', 'unix:///a', 'unix:///b'])).toBe('/a');
    expect(apiSocketPath(['tcp://127.0.0.1:1'])).toBeUndefined();
  });
});

describe('a connection', () => {
  test('goes both ways, and each way ends by itself', async () => {
    const arrived = accepted(server);
    const { output, input } = tunnels('/elsewhere', path).open(tunnelName(containerId, 1));
    const socket = await arrived;
    let received = '';
    socket.on('data', (data) => (received += data.toString()));
    output.write('question');
    output.end();
    await once(socket, 'end');
    expect(received).toBe('question');
    socket.end('answer');
    while (!input.ended) await new Promise((resolve) => setImmediate(resolve));
    expect(input.text).toBe('answer');
    expect(output.acked).toBe(tunnelName(containerId, 1).length + 1 + 'question'.length);
  });

  test('through a link that was put in its place is closed', () => {
    renameSync(path, `${path}.old`);
    symlinkSync(apiPath(), path);
    const { output } = tunnels(path).open(tunnelName(containerId, 0));
    expect(output.wasReset).toBe(true);
  });

  test('through a link that was put in the place of its directory is closed', () => {
    const [own, other] = [join(directory, 'own'), join(directory, 'other')];
    mkdirSync(other);
    renameSync(path, join(other, 'service.sock'));
    symlinkSync(other, own);
    const { output } = tunnels(join(own, 'service.sock')).open(tunnelName(containerId, 0));
    expect(output.wasReset).toBe(true);
  });

  test.each([
    ['of a mount that is not there', tunnelName(containerId, 7)],
    ['of another container', tunnelName('cd'.repeat(32), 0)],
    ['with a path for a name', '/etc/passwd'],
    ['with a name without end', 'x'.repeat(1000)],
  ])('%s is closed', (_, name) => {
    const { output, input } = tunnels(path).open(name);
    expect(output.wasReset).toBe(true);
    expect(input.ended).toBe(true);
  });

  test('that the host refuses is closed', async () => {
    const { output, input } = tunnels(join(directory, 'gone.sock')).open(tunnelName(containerId, 0));
    while (!output.wasReset) await new Promise((resolve) => setImmediate(resolve));
    expect(input.ended).toBe(true);
  });

  test('ends on the host when the VM is gone', async () => {
    const arrived = accepted(server);
    const { output } = tunnels(path).open(tunnelName(containerId, 0));
    const socket = await arrived;
    socket.resume();
    output.lose();
    await once(socket, 'end');
    socket.destroy();
  });

  test('too many of one VM are refused', () => {
    const { open } = tunnels(path);
    for (let i = 0; i < 512; i++) open(tunnelName(containerId, 0));
    expect(open(tunnelName(containerId, 0)).output.wasReset).toBe(true);
  });
});
