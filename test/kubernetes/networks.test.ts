// Networks where the cluster's network enforces policies, and ports that are Services: what is promised is seen, over two nodes and by two
// daemons.

import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { type GuardedProcess, startGuarded, waitReady } from '../support/process/guarded-process';
import { makeScratchDir } from '../support/process/scratch-dir';
import { TestCluster, clusterScript, registryHost } from './harness/test-cluster';

jest.setTimeout(600_000);

const cli = findDockerClis()[0]?.path ?? 'docker';
const image = `${registryHost}/busybox`;
/** With Node. */
const services = `${registryHost}/services`;
const dir = makeScratchDir('networks');
const cluster = TestCluster.current();
const namespace = `nets-${process.pid}`;
/** A Pod that is nobody's of these: for containers, the rest of the world. */
const world = `world-${process.pid}`;
const noService = 'NodePort|LoadBalancer';
let policies: GuardedProcess;
let open: ClusterDaemon;
/** Each puts its containers on a node of its own. */
let one: ClusterDaemon;
let other: ClusterDaemon;

/** Stdout. Rejects with stderr where it fails. */
async function said(daemon: ClusterDaemon, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(cli, ['--host', daemon.host, ...args]);
  return stdout.trimEnd();
}

/** In the cluster's network, outside of its Pods. */
async function outside(...command: string[]): Promise<string> {
  const [first = '', ...rest] = cluster.namespace.wrap(command);
  return (await promisify(execFile)(first, rest)).stdout;
}

const of = (...args: string[]): string => cluster.kubectl('-n', namespace, ...args);

/** Resolves when the daemon of the namespace has found this. */
function finds(inNamespace: string, result: 'kept' | 'ignored'): void {
  const policy = 'networkpolicy/caisson-probe';
  const annotation = '.metadata.annotations.caisson\\.io/enforcement';
  for (const what of ['create', `jsonpath={${annotation}}=${result}`])
    cluster.kubectl('-n', inNamespace, 'wait', `--for=${what}`, '--timeout=180s', policy);
}

/** A web server that says its name, and is there; its address. */
async function serve(daemon: ClusterDaemon, name: string, ...args: string[]): Promise<string> {
  const script = `mkdir /www; echo ${name} >/www/index.html; exec httpd -f -h /www -p 80`;
  await said(daemon, 'run', '-d', '--name', name, ...args, image, 'sh', '-c', script);
  await said(
    daemon,
    'exec',
    name,
    'sh',
    '-c',
    'until echo | nc -w 1 127.0.0.1 80 >/dev/null; do sleep 0.1; done',
  );
  const addresses = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}';
  return (await said(daemon, 'inspect', '-f', addresses, name)).split(' ')[0] ?? '';
}

/** What a container gets of a server; undefined: it is not reached. */
async function fetched(daemon: ClusterDaemon, name: string, host: string): Promise<string | undefined> {
  const script = 'printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w 3 $1 80 | tail -n 1 | grep .';
  return said(daemon, 'exec', name, 'sh', '-c', script, 'sh', host).catch(() => undefined);
}

/** Once it is: who enforces policies may hear of a member a moment later. */
async function reached(daemon: ClusterDaemon, name: string, host: string): Promise<string> {
  for (;;) {
    const answer = await fetched(daemon, name, host);
    if (answer !== undefined) return answer;
  }
}

/** As a label has it. */
async function idOf(name: string): Promise<string> {
  return (await said(one, 'inspect', '-f', '{{.Id}}', name)).slice(0, 63);
}

async function knows(daemon: ClusterDaemon, name: string, host: string): Promise<boolean> {
  return said(daemon, 'exec', name, 'nslookup', host).then(
    () => true,
    () => false,
  );
}

const curl = (address: string): Promise<string> =>
  outside('curl', '--silent', '--fail', '--max-time', '5', '--retry', '30', '--retry-all-errors', address);

beforeAll(async () => {
  open = await ClusterDaemon.start({ cluster, namespace: `open-${process.pid}`, dir: join(dir, 'open') });
  cluster.kubectl(
    ...['run', world, '--restart=Never', '--image', image, '--command', '--'],
    ...['sh', '-c', 'mkdir /www; echo world >/www/index.html; exec httpd -f -h /www -p 80'],
  );
});

afterAll(async () => {
  await policies.stop();
  await other.stop();
  await one.stop();
  await open.stop();
  cluster.kubectl('delete', 'pod', world, '--now', '--wait=false');
  rmSync(dir, { recursive: true, force: true });
});

it('where policies are ignored, it is found and said', async () => {
  finds(open.namespace, 'ignored');
  expect(await said(open, 'info', '-f', '{{.Warnings}}')).toContain('does not enforce NetworkPolicies');
});

it('where they are enforced, that is found, and nothing is warned of', async () => {
  const logPath = join(dir, 'policies.log');
  policies = await startGuarded(['bash', clusterScript, 'policies', cluster.name], { logPath });
  await waitReady(policies, () =>
    Promise.resolve(readFileSync(logPath, 'utf8').includes('network policies are enforced')),
  );
  const on = (node: string): string[] => ['--kube-node-selector', `kubernetes.io/hostname=${node}`];
  one = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'one'), args: on('node1') });
  const beside = { beside: one, args: on('node2') };
  other = await ClusterDaemon.start({ cluster, namespace, dir: join(dir, 'other'), ...beside });
  finds(namespace, 'kept');
  await said(one, 'pull', '--quiet', image);
  await said(one, 'network', 'create', 'front');
  await said(one, 'network', 'create', '--internal', 'back');
  expect(await said(other, 'info', '-f', '{{.Warnings}}')).not.toContain('NetworkPolicies');
});

it('members of a network reach and know each other, on whatever node, and nobody else does', async () => {
  const web = await serve(one, 'web', '--network', 'front');
  const db = await serve(other, 'db', '--network', 'back');
  await serve(other, 'app', '--network', 'front');
  await said(one, 'network', 'connect', 'back', 'app');
  await serve(one, 'alone');
  const nodes = of('get', 'pod', '-o', 'jsonpath={.items[*].spec.nodeName}').split(' ');
  expect(new Set(nodes)).toEqual(new Set(['node1', 'node2']));

  expect(await reached(other, 'app', 'web')).toBe('web');
  expect(await reached(other, 'app', 'db')).toBe('db');
  expect(await reached(one, 'web', 'app')).toBe('app');
  expect(await reached(one, 'db', 'app')).toBe('app');
  expect([await knows(one, 'web', 'db'), await fetched(one, 'web', db)]).toEqual([false, undefined]);
  expect([await knows(one, 'db', 'web'), await fetched(one, 'db', web)]).toEqual([false, undefined]);
  expect([await knows(one, 'alone', 'web'), await fetched(one, 'alone', web)]).toEqual([false, undefined]);

  await said(other, 'network', 'disconnect', 'front', 'app');
  while ((await fetched(other, 'app', web)) !== undefined); // as above
  expect(await reached(other, 'app', 'db')).toBe('db');
});

it('who is on internal networks alone gets nowhere else, and has no ports', async () => {
  cluster.kubectl('wait', '--for=condition=Ready', '--timeout=120s', `pod/${world}`);
  const address = cluster.kubectl('get', 'pod', world, '-o', 'jsonpath={.status.podIP}');
  expect(await reached(one, 'web', address)).toBe('world');
  expect(await reached(one, 'alone', address)).toBe('world');
  expect(await fetched(one, 'db', address)).toBeUndefined();
  await serve(one, 'closed', '--network', 'back', '-p', '80');
  expect(await said(one, 'port', 'closed')).toBe('');
});

it('without a network there is but the loopback, for commands and execs, and no way back', async () => {
  await said(one, 'run', '-d', '--name', 'none', '--network', 'none', image, 'sleep', '3600');
  const interfaces = 'cut -d: -f1 /proc/net/dev | tail -n +3; wc -l </proc/net/route';
  const ran = await said(one, 'run', '--rm', '--network', 'none', image, 'sh', '-c', interfaces);
  expect(
    ran
      .split('\n')
      .slice(-2)
      .map((line) => line.trim()),
  ).toEqual(['lo', '1']);
  const execed = await said(one, 'exec', 'none', 'sh', '-c', 'cut -d: -f1 /proc/net/dev | tail -n +3');
  expect(execed.trim()).toBe('lo');
  expect(await said(one, 'exec', 'none', 'ping', '-c', '1', '127.0.0.1')).toContain('1 packets received');
  expect(await said(one, 'inspect', '-f', '{{.NetworkSettings.Networks.none.IPAddress}}', 'none')).toBe('');
  const address = of('get', 'pod', '-l', `caisson.io/id=${await idOf('none')}`, '-o', 'jsonpath={..podIP}');
  expect(await fetched(one, 'alone', address)).toBeUndefined();
  await expect(said(one, 'exec', 'none', 'nsenter', '-t', '1', '-n', 'true')).rejects.toThrow();
  await expect(
    said(one, 'run', '--rm', '--network', 'none', '--cap-add', 'SYS_ADMIN', image, 'true'),
  ).rejects.toThrow('--network none with the capability SYS_ADMIN or SYS_PTRACE is not supported');
});

it('ports that the daemon listens on lead in all the same', async () => {
  await serve(one, 'listening', '--network', 'front', '-p', '127.0.0.1:18310:80');
  expect(await curl('http://127.0.0.1:18310/')).toBe('listening\n');
});

describe('ports of a Service', () => {
  const nodePort = ['--label', 'caisson.publish=NodePort'];
  const objects = (name: string): string =>
    of('get', 'service,networkpolicy', '-l', `caisson.io/id=${name}`, '-o', 'name').trim();
  it('of all nodes: told by both daemons, reached from outside, and gone with the run', async () => {
    await serve(one, 'noded', '--network', 'front', ...nodePort, '-p', '80');
    const id = await idOf('noded');
    const told = await said(one, 'port', 'noded', '80/tcp');
    expect(told).toMatch(/^10\.89\.0\.1:3\d{4}$/);
    expect(await said(other, 'port', 'noded', '80/tcp')).toBe(told);
    expect(await said(other, 'ps', '--filter', 'name=noded', '--format', '{{.Ports}}')).toBe(
      `${told}->80/tcp`,
    );
    expect(await curl(`http://${told}/`)).toBe('noded\n');
    expect(await curl(`http://${told.replace('10.89.0.1', '10.89.0.2')}/`)).toBe('noded\n');
    // what is published is open to who is outside of its networks, and nothing else of it
    await said(other, 'stop', '-t', '0', 'noded');
    expect(objects(id)).toBe('');
    expect(await said(one, 'port', 'noded')).toBe('');
    await said(other, 'start', 'noded');
    expect(await curl(`http://${await said(one, 'port', 'noded', '80/tcp')}/`)).toBe('noded\n');
    await said(one, 'rm', '-f', 'noded');
    expect(objects(id)).toBe('');
  });

  it('UDP, too', async () => {
    const answer =
      "const s = require('dgram').createSocket('udp4'); s.bind(9000); s.on('message', (m, f) => s.send('got ' + m, f.port, f.address))";
    await said(one, 'pull', '--quiet', services);
    const command = [services, 'node', '-e', answer];
    await said(one, 'run', '-d', '--name', 'datagrams', ...nodePort, '-p', '9000/udp', ...command);
    const [address = '', port = ''] = (await said(one, 'port', 'datagrams', '9000/udp')).split(':');
    // datagrams are lost, or refused at once, until the server has come up and the node knows where it is
    const ask =
      'for try in $(seq 240); do exec 3<>"/dev/udp/$0/$1"; echo hello >&3; timeout 2 head -n 1 <&3 2>/dev/null && exit; sleep 0.5; done; exit 1';
    expect(await outside('bash', '-c', ask, address, port)).toBe('got hello\n');
    await said(one, 'rm', '-f', 'datagrams');
  });

  it('a number is had once, of the range that nodes have, and on all addresses', async () => {
    const run = (name: string, port: string): Promise<string> =>
      said(one, 'run', '-d', '--name', name, ...nodePort, '-p', port, image, 'sleep', '3600');
    await run('first', '30080:80');
    expect(await said(other, 'port', 'first')).toBe('80/tcp -> 10.89.0.1:30080');
    await expect(run('second', '30080:80')).rejects.toThrow(
      /driver failed programming external connectivity on endpoint second.*Bind for 0.0.0.0:30080 failed: port is already allocated/,
    );
    await expect(run('third', '8080:80')).rejects.toThrow(
      /node ports of the cluster are 30000-32767; take one/,
    );
    await expect(run('fourth', '127.0.0.1:30081:80')).rejects.toThrow('can not be bound to 127.0.0.1');
    await expect(said(one, 'create', '--label', `caisson.publish=${noService}`, image)).rejects.toThrow(
      'invalid label caisson.publish',
    );
    const left = of('get', 'service', '-o', 'name').trim().split('\n');
    expect(left).toHaveLength(1);
    await said(one, 'rm', '-f', 'first', 'second', 'third', 'fourth');
    expect(of('get', 'service', '-o', 'name')).toBe('');
  });

  it('of a load balancer: with its address, and the number that was asked for', async () => {
    const balanced = serve(one, 'balanced', '--label', 'caisson.publish=LoadBalancer', '-p', '8080:80');
    // as a cloud's controller does
    of('wait', '--for=create', '--timeout=120s', 'service', '-l', 'app.kubernetes.io/managed-by=caisson');
    const service = of('get', 'service', '-o', 'name').trim();
    const status = { loadBalancer: { ingress: [{ ip: '10.89.7.7' }] } };
    of('patch', service, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status }));
    await balanced;
    expect(await said(other, 'port', 'balanced')).toBe('80/tcp -> 10.89.7.7:8080');
    expect(await curl('http://10.89.7.7:8080/')).toBe('balanced\n');
    const pod = of('get', 'pod', '-l', `caisson.io/id=${await idOf('balanced')}`, '-o', 'name').trim();
    // the Pod goes, and what belongs to it
    of('delete', pod, '--now');
    of('wait', '--for=delete', '--timeout=120s', service);
    await said(one, 'rm', '-f', 'balanced');
  });
});
