// What a cluster does to a daemon: watches that expire, admission that takes its time, a namespace that goes; and clients that are gone.

import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { makeScratchDir } from '../support/process/scratch-dir';
import { TestCluster, registryHost } from './harness/test-cluster';

jest.setTimeout(300_000);

const cluster = TestCluster.current();
const cli = findDockerClis()[0]?.path ?? 'docker';
const image = `${registryHost}/busybox`;
const dir = makeScratchDir('faults');
const namespace = `faults-${process.pid}`;
let api: ChildProcessByStdio<Writable, Readable, null>;
let says: AsyncIterator<string>;
/** Of an administrator, since an account's token is of its namespace. */
let plain: ClusterDaemon;
/** Behind the API that has faults. */
let faulty: ClusterDaemon;

beforeAll(async () => {
  const args = ['--kubeconfig', cluster.kubeconfig];
  plain = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'plain'), args });
  const [node = '', ...words] = cluster.namespace.wrap([
    ...[process.execPath, join(__dirname, 'harness', 'faulty-api.cjs'), cluster.dir],
  ]);
  api = spawn(node, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  says = createInterface(api.stdout)[Symbol.asyncIterator]();
  const { value: server } = (await says.next()) as { value: string };
  const account = JSON.parse(readFileSync(join(dir, 'plain', 'account.conf'), 'utf8')) as {
    clusters: object[];
  };
  account.clusters = [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }];
  writeFileSync(join(dir, 'faulty.conf'), JSON.stringify(account), { mode: 0o600 });
  faulty = await ClusterDaemon.start({
    ...{ cluster, namespace, dir: join(dir, 'faulty'), beside: plain },
    args: ['--kubeconfig', join(dir, 'faulty.conf'), '--kube-ttl', 'of.client=2s'],
  });
  await docker(plain, 'pull', '--quiet', image);
});

afterAll(async () => {
  await faulty.stop();
  api.stdin.end();
  await once(api, 'exit');
  await plain.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Resolves when it is so. */
async function tell(word: string): Promise<void> {
  api.stdin.write(`${word}\n`);
  await says.next();
}

/** Stdout. Rejects with stderr where it fails. */
async function docker(daemon: ClusterDaemon, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(cli, ['--host', daemon.host, ...args]);
  return stdout.trimEnd();
}

/** Events from `since` on, until the last one that is said to come has been told. */
async function told(daemon: ClusterDaemon, since: string, last: string): Promise<string[]> {
  const format = '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}';
  const events = spawn(cli, ['--host', daemon.host, 'events', '--since', since, '--format', format]);
  const lines: string[] = [];
  for await (const line of createInterface(events.stdout)) {
    lines.push(line);
    if (line === last) events.kill();
  }
  return lines;
}

it('a watch that has expired loses no change and no event, and tells of none twice', async () => {
  await docker(
    plain,
    'run',
    '--detach',
    '--name',
    'ends',
    image,
    'sh',
    '-c',
    'until test -e /go; do sleep 0.1; done; exit 4',
  );
  await docker(plain, 'create', '--name', 'goes', image);
  const since = (Date.now() / 1000).toFixed(3);
  const waiting = docker(faulty, 'wait', 'ends');
  await docker(faulty, 'create', '--name', 'first', image);
  await tell('expire');
  await docker(plain, 'rm', 'goes');
  await docker(plain, 'create', '--name', 'comes', image);
  await docker(plain, 'exec', 'ends', 'touch', '/go');
  expect(await docker(plain, 'wait', 'ends')).toBe('4');
  await docker(plain, 'create', '--name', 'last', image);
  expect(await waiting).toBe('4');
  const all = await told(faulty, since, 'container create last');
  expect(all).toEqual(await told(plain, since, 'container create last'));
  const own = all.filter((line) => /^container (create|die|destroy)/.test(line));
  expect(own.filter((line) => line !== 'container die ends')).toEqual([
    'container create first',
    'container destroy goes',
    'container create comes',
    'container create last',
  ]);
  expect(own).toContain('container die ends');
  const names = await docker(faulty, 'ps', '--all', '--format', '{{.Names}}');
  expect(names.split('\n').sort()).toEqual(['comes', 'ends', 'first', 'last']);
  await docker(faulty, 'rm', ...names.split('\n'));
});

it('a Pod whose admission takes its time starts all the same', async () => {
  await tell('slow');
  expect(await docker(faulty, 'run', '--rm', image, 'echo', 'in the end')).toBe('in the end');
});

it('what a client that is gone has left goes when its time is over', async () => {
  const label = ['--label', 'of.client'];
  await docker(plain, 'network', 'create', ...label, 'theirs');
  await docker(plain, 'volume', 'create', '--label', 'caisson.ttl=1s', 'data');
  await docker(plain, 'volume', 'create', 'other');
  const mount = ['--mount', 'source=data,target=/data', '--network', 'theirs'];
  await docker(plain, 'run', '--detach', '--name', 'left', ...label, ...mount, image, 'sleep', '1000');
  await expect(docker(plain, 'create', '--label', 'caisson.ttl=soon', image)).rejects.toThrow(
    'time: invalid duration "soon"',
  );
  // whoever keeps the namespace must know of the label: the other gives its place up
  await plain.kill9();
  const events = spawn(cli, [
    '--host',
    faulty.host,
    'events',
    '--since',
    '0',
    '--format',
    '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.ID}}',
  ]);
  const ends = ['container destroy left', 'network destroy theirs', 'volume destroy <no value> data'];
  for await (const line of createInterface(events.stdout)) {
    const at = ends.findIndex((end) => line.startsWith(end));
    if (at >= 0) ends.splice(at, 1);
    if (ends.length === 0) events.kill();
  }
  expect(ends).toEqual([]);
  expect(await docker(faulty, 'volume', 'ls', '--quiet')).toBe('other');
  await plain.start();
});

it('a namespace that is deleted takes all with it, and another of its name serves again', async () => {
  await docker(plain, 'run', '--detach', '--name', 'runs', image, 'sleep', '1000');
  const waiting = docker(plain, 'wait', 'runs').catch(String);
  const following = docker(plain, 'logs', '--follow', 'runs').catch(String);
  cluster.kubectl('delete', 'namespace', namespace, '--timeout=200s');
  await Promise.all([waiting, following]);
  expect(await docker(plain, 'ps', '--all', '--quiet')).toBe('');
  await expect(docker(plain, 'network', 'create', 'nowhere')).rejects.toThrow(
    `namespaces "${namespace}" not found`,
  );
  await expect(docker(plain, 'pull', '--quiet', image)).rejects.toThrow(
    `namespaces "${namespace}" not found`,
  );
  plain.install();
  await docker(plain, 'pull', '--quiet', image);
  expect(await docker(plain, 'run', '--rm', image, 'echo', 'again')).toBe('again');
});
