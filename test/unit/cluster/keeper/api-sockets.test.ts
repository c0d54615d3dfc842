// A container's way to the API: sockets of the supervisor, a tunnel of the keeper, and a server behind.

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ClusterRecord } from '../../../../src/cluster/contract/cluster-record';
import type { ClusterContext } from '../../../../src/cluster/containers/context';
import { ApiSockets } from '../../../../src/cluster/keeper/api-sockets';
import { ContainerStore } from '../../../../src/cluster/records/container-store';
import type { ContainerState } from '../../../../src/semantics/containers/container-state';
import { clusterRecord, MemoryRecords, runningState } from '../../../support/fakes/cluster-fakes';
import { buildTunnelProgram, writeTo } from '../../../support/guests/tunnel-program';

let start: ReturnType<typeof buildTunnelProgram>;
let dir: string;
let server: Server;
let containers: ContainerStore;
let stop: () => void;
/** Of the tunnels that were opened, and the programs behind them. */
let insides: ChildProcessWithoutNullStreams[];
let paths: string[];

beforeAll(() => {
  start = buildTunnelProgram();
});

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'caisson-api-'));
  insides = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    let got = 0;
    socket.on('data', (data) => (got += data.length));
    socket.on('end', () => socket.end(`${got} bytes`));
  });
  const api = join(dir, 'api.sock');
  await new Promise<void>((resolve) => server.listen(api, resolve));
  containers = new ContainerStore(new MemoryRecords<ClusterRecord>());
  await containers.start();
  // the program of a container stands for its process 1, and is there before a daemon asks
  paths = [join(dir, 'root/var/run/docker.sock'), join(dir, 'root/other.sock')];
  const supervisor = {
    job: () => {
      const inside = start(paths.map((path) => `660:0:0:${path}`));
      insides.push(inside);
      return Promise.resolve({
        output: outputOf(inside),
        input: { write: (data: Buffer) => writeTo(inside, data) },
        close: () => inside.stdin.end(),
      });
    },
  };
  const context = { containers, supervisor: () => supervisor } as unknown as ClusterContext;
  stop = new ApiSockets(context, Promise.resolve(api)).start();
});

afterEach(async () => {
  stop();
  const running = insides.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await Promise.all(running.map((inside) => once(inside, 'exit')));
  server.close();
  rmSync(dir, { recursive: true });
});

async function* outputOf(
  inside: ChildProcessWithoutNullStreams,
): AsyncGenerator<{ stream: 'stdout'; data: Buffer }> {
  for await (const data of inside.stdout) yield { stream: 'stdout', data: data as Buffer };
}

const exitedState: ContainerState = {
  ...{ kind: 'exited', exitCode: 0, error: '', oomKilled: false },
  ...{ startedAt: runningState.startedAt, finishedAt: runningState.startedAt },
};

async function run(state: ContainerState = runningState): Promise<void> {
  const record = clusterRecord({ name: 'web' });
  const details = { noCopy: false, subpath: '', createSource: false, nonRecursive: false };
  await containers.create({
    ...record,
    state,
    mountDetails: { '/var/run/docker.sock': { ...details, isEngineSocket: true } },
  });
}

/** Until the program has made its sockets, there is nobody. */
async function ask(path: string, data: Buffer): Promise<string> {
  for (;;) {
    const client = connect({ path, allowHalfOpen: true });
    const failed = await Promise.race([once(client, 'connect'), once(client, 'error')]).then(
      ([error]) => error as Error | undefined,
      (error: unknown) => error as Error,
    );
    if (failed !== undefined) {
      await new Promise(setImmediate);
      continue;
    }
    client.end(data);
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk as Buffer);
    return String(Buffer.concat(chunks));
  }
}

it('carries connections of all its sockets to the API, and answers after their last word', async () => {
  await run();
  const sizes = [0, 1, 3_000_000, 100_000, 7];
  const answers = await Promise.all(
    sizes.flatMap((size) => paths.map((path) => ask(path, Buffer.alloc(size)))),
  );
  expect(answers).toEqual(sizes.flatMap((size) => paths.map(() => `${size} bytes`)));
  expect(statSync(paths[0] ?? '').mode & 0o777).toBe(0o660);
});

it('takes the place of a file, and of a socket that was left', async () => {
  mkdirSync(join(dir, 'root/run'), { recursive: true });
  mkdirSync(join(dir, 'root/var'));
  symlinkSync('../run', join(dir, 'root/var/run'));
  writeFileSync(join(dir, 'root/run/docker.sock'), 'old');
  chmodSync(join(dir, 'root/run/docker.sock'), 0o600);
  await run();
  expect(await ask(join(dir, 'root/run/docker.sock'), Buffer.alloc(5))).toBe('5 bytes');
});

it('comes back when the connection to the supervisor is lost', async () => {
  await run();
  const [path = ''] = paths;
  expect(await ask(path, Buffer.alloc(5))).toBe('5 bytes');
  const client = connect({ path });
  client.on('error', () => undefined);
  await once(client, 'connect');
  const [inside] = insides;
  if (inside === undefined) throw new Error('not served');
  const closed = new Promise((resolve) => client.resume().once('close', resolve)); // reset, or ended
  const exited = once(inside, 'exit');
  inside.kill('SIGKILL');
  await Promise.all([closed, exited]);
  expect(await ask(path, Buffer.alloc(6))).toBe('6 bytes');
});

it('serves nobody who has no socket, or does not run', async () => {
  await run(exitedState);
  await containers.create(clusterRecord({ name: 'other', id: 'b2'.repeat(32), state: runningState }));
  expect(insides).toEqual([]);
});

it('ends with the container', async () => {
  await run();
  await ask(paths[0] ?? '', Buffer.alloc(5));
  const [inside] = insides;
  if (inside === undefined) throw new Error('not served');
  const exited = once(inside, 'exit');
  const container = await containers.resolve('web');
  await containers.update(container, (record) => ({ ...record, state: exitedState }));
  expect((await exited)[0]).toBe(0);
});
