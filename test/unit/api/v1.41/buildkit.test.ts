// BuildKit's connections through the HTTP server: from the upgrade to calls in both directions.

import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { request, type OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createApi, type Api } from '../../../../src/api/server';
import { Control } from '../../../../src/buildkit/messages/control';
import { DockerBuilds } from '../../../../src/semantics/builds/docker-builds';
import { ClientSessions } from '../../../../src/buildkit/session/sessions';
import { GrpcClient } from '../../../../src/buildkit/wire/client';
import { FakeClient, fakeFile } from '../../../support/buildkit/fake-client';
import { chainOf, fakeBuildKit, FakeSolver } from '../../../support/buildkit/fake-solver';
import { makeScratchDir } from '../../../support/process/scratch-dir';
import { fakeBackend } from '../fake-backend';

const scratch = makeScratchDir('buildkit-api');
const path = join(scratch, 'api.sock');
const sessions = new ClientSessions();
const solver = new FakeSolver(sessions);
const buildKit = fakeBuildKit(sessions, solver, {
  worker: { id: 'w', labels: new Map(), version: 'v1', dockerfileVersion: '1.2' },
});
let api: Api;

beforeAll(async () => {
  // mocks answer what the backend would
  api = createApi({ ...fakeBackend(), buildKit: new DockerBuilds(buildKit) }, { daemonVersion: '1' });
  await api.listen([`unix://${path}`]);
});
afterAll(async () => {
  buildKit.close();
  await api.close(0);
  rmSync(scratch, { recursive: true });
});

async function upgrade(url: string, headers: OutgoingHttpHeaders = {}): Promise<Socket> {
  const asked = request({
    socketPath: path,
    path: url,
    method: 'POST',
    headers: { Connection: 'Upgrade', Upgrade: 'h2c', ...headers },
  });
  asked.end();
  const [, socket, head] = (await once(asked, 'upgrade')) as [unknown, Socket, Buffer];
  socket.unshift(head);
  socket.on('error', () => undefined);
  return socket;
}

/** What is answered instead of an upgrade. */
async function refusal(url: string, headers: OutgoingHttpHeaders): Promise<{ status: number; body: string }> {
  const asked = request({ socketPath: path, path: url, method: 'POST', headers });
  asked.end();
  const [response] = (await once(asked, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, body };
}

test('a build over both connections, its session found by methods and id', async () => {
  const client = new GrpcClient(await upgrade('/v1.44/grpc'));
  const files = new FakeClient();
  files.directories.set('context', [fakeFile('a', 'abc')]);
  files.serve(
    await upgrade('/session', {
      'X-Docker-Expose-Session-Uuid': 'id',
      'X-Docker-Expose-Session-Sharedkey': 'shared',
      'X-Docker-Expose-Session-Grpc-Method': [
        '/moby.filesync.v1.FileSync/DiffCopy',
        '/grpc.health.v1.Health/Check',
      ],
    }),
  );
  const answer = await client.unary(Control.methods.Solve, {
    Ref: 'build',
    Session: 'id',
    Definition: chainOf('local://context'),
    Exporters: [{ Type: 'moby' }],
  });
  expect(answer.ExporterResponse.get('containerimage.digest')).toBe('sha256:1234');
  expect(files.calls).toHaveLength(1);
  const session = sessions.find('id');
  expect(session?.sharedKey).toBe('shared');
  expect(session?.supports('/grpc.health.v1.Health/Check')).toBe(true);
  expect(session?.supports('/moby.buildkit.secrets.v1.Secrets/GetSecret')).toBe(false);
});

test('a build is cancelled by its id', async () => {
  const client = new GrpcClient(await upgrade('/grpc'));
  const solve = client.unary(Control.methods.Solve, { Ref: 'long', Definition: chainOf('hang://') });
  const failed = expect(solve).rejects.toMatchObject({ code: 1 });
  const status = client.open(Control.methods.Status);
  await status.send({ Ref: 'long' });
  await status.receive();
  expect(await refusal('/build/cancel?id=long', {})).toEqual({ status: 200, body: '' });
  await failed;
  expect((await refusal('/build/cancel', {})).status).toBe(500);
});

test('so is one whose client is gone without a word, while nothing is written to it', async () => {
  const socket = await upgrade('/grpc');
  const client = new GrpcClient(socket);
  const solve = client.unary(Control.methods.Solve, { Ref: 'left', Definition: chainOf('hang://') });
  const failed = expect(solve).rejects.toMatchObject({ code: 14 });
  const status = client.open(Control.methods.Status);
  await status.send({ Ref: 'left' });
  await status.receive();
  expect(solver.running).toContain('left');
  const over = solver.whenOver('left');
  socket.destroy();
  await failed;
  await over;
});

test.each([
  ['/grpc', {}, 500, 'no upgrade proto in request'],
  ['/session', {}, 400, 'no upgrade proto in request'],
  ['/grpc', { Connection: 'Upgrade', Upgrade: 'tcp' }, 500, 'protocol tcp not supported'],
  ['/session', { Connection: 'Upgrade', Upgrade: 'tcp' }, 400, 'protocol tcp not supported'],
  ['/session', { Connection: 'Upgrade', Upgrade: 'h2c' }, 400, 'no session id'],
])('%s with %j: %d', async (url, headers, status, message) => {
  expect(await refusal(url, headers)).toEqual({ status, body: `${JSON.stringify({ message })}\n` });
});
