// Rows about networks: what a client on the host, and another container, see of a container's network.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import type { NetworkNamespace } from '../test/support/network/network-namespace';
import { median, medians, timed, type DockerClient } from './measure';
import type { Row } from './table';

export interface NetworkBench {
  docker: DockerClient;
  caisson: DockerClient;
  /** In which both publish their ports. */
  namespace: NetworkNamespace;
  /** Caisson's `--run-dir`: where its private network namespace is. */
  runDir: string;
}

const webPort = 18080;
const bigBytes = 30_000_000;
const web = `echo hello >/index.html; head -c ${String(bigBytes)} /dev/zero >/big; exec httpd -f -p 80`;

export const networkMeasurements: Record<string, (bench: NetworkBench) => Promise<Row>> = {
  'network connect': async (bench) => {
    const row = await compare(bench, 'network connect, of a running container', {
      times: 15,
      prepare: (client) => {
        client.run('network', 'create', 'bench-connect');
        client.run('run', '-d', '--name', 'bench-connect', 'busybox', 'sleep', '1000');
      },
      step: (client) => client.post('/v1.41/networks/bench-connect/connect', { Container: 'bench-connect' }),
      between: (client) =>
        client.post('/v1.41/networks/bench-connect/disconnect', { Container: 'bench-connect' }),
    });
    for (const client of [bench.docker, bench.caisson]) client.run('network', 'rm', 'bench-connect');
    return { ...row, max: 100 };
  },
  'run -d -p to the first byte': (bench) =>
    compare(bench, 'run -d -p, to the first byte', {
      times: 8,
      step: (client) => {
        client.run(...runWeb('echo hello >/index.html; exec httpd -f -p 80'));
        onHost(bench, 'sh', '-c', `until curl -sf -o /dev/null ${page('')}; do sleep 0.01; done`);
      },
      between: (client) => client.run('rm', '-f', 'bench-web'),
    }),
  'http through a published port': (bench) =>
    eachInTurn(bench, '50 requests through a published port, one after the other', 3, () => {
      onHost(bench, 'curl', '-sf', '-o', '/dev/null', `${page('index.html')}?[1-50]`);
    }),
  'http without the forwarder': (bench) =>
    fromPrivateNamespace(
      bench,
      '… from the private namespace',
      'curl -sf -o /dev/null "$1/index.html?[1-50]"',
    ),
  'throughput of a published port': (bench) =>
    eachInTurn(bench, '30 MB through a published port', 1.5, () => {
      onHost(bench, 'curl', '-sf', '-o', '/dev/null', page('big'));
    }),
  'throughput without the forwarder': (bench) =>
    fromPrivateNamespace(
      bench,
      '… from the private namespace: what QEMU gives',
      'curl -sf -o /dev/null "$1/big"',
    ),
  'container to container': (bench) =>
    betweenContainers(bench, '30 MB from container to container, by httpd and wget', {
      serve: ['sh', '-c', web],
      fetch: 'wget -q -O /dev/null http://bench-a/big',
    }),
  // nc reads 1 KiB at a time and head a byte: under emulation that is the guest's programs, not the network
  'container to container, by small reads': (bench) =>
    betweenContainers(bench, '… by head and nc', {
      serve: ['nc', '-ll', '-p', '5000', '-e', 'head', '-c', String(bigBytes), '/dev/zero'],
      fetch: 'nc bench-a 5000 </dev/null >/dev/null',
    }),
};

async function betweenContainers(
  bench: NetworkBench,
  name: string,
  { serve, fetch }: { serve: string[]; fetch: string },
): Promise<Row> {
  const row = await compare(bench, name, {
    times: 5,
    prepare: (client) => {
      client.run('network', 'create', 'bench-net');
      client.run('run', '-d', '--name', 'bench-a', '--network', 'bench-net', 'busybox', ...serve);
      client.run('run', '-d', '--name', 'bench-b', '--network', 'bench-net', 'busybox', 'sleep', '1000');
      client.run('exec', 'bench-b', 'sh', '-c', `until ${fetch}; do sleep 0.1; done`);
    },
    step: (client) => client.run('exec', 'bench-b', 'sh', '-c', fetch),
  });
  for (const client of [bench.docker, bench.caisson]) client.run('network', 'rm', 'bench-net');
  return row;
}

/** What `script` takes where only QEMU's tap lies between it and the guest; its first argument is the container's address. */
async function fromPrivateNamespace(
  { caisson, runDir }: NetworkBench,
  name: string,
  script: string,
): Promise<Row> {
  caisson.run(...runWeb(web));
  const address = caisson.output('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'bench-web').trim();
  const inside = [`--net=${join(runDir, 'netns')}`, 'sh', '-c'];
  const once = (command: string): unknown =>
    execFileSync('nsenter', [...inside, command, 'sh', `http://${address}`]);
  once('until curl -sf -o /dev/null "$1/big"; do sleep 0.01; done');
  once(script);
  const taken: number[] = [];
  for (let round = 0; round < 5; round++) taken.push(await timed(() => once(script)));
  await caisson.removeAll();
  return { name, unit: 'ms', caisson: median(taken) };
}

async function compare(bench: NetworkBench, name: string, work: Parameters<typeof medians>[1]): Promise<Row> {
  const [docker = Number.NaN, caisson = Number.NaN] = await medians([bench.docker, bench.caisson], work);
  return { name, unit: 'ms', docker, caisson };
}

/** The engines publish the same port, so one is done before the other begins. */
async function eachInTurn(
  bench: NetworkBench,
  name: string,
  maxRatio: number,
  step: () => void,
): Promise<Row> {
  const measured: number[] = [];
  for (const client of [bench.docker, bench.caisson]) {
    client.run(...runWeb(web));
    onHost(bench, 'sh', '-c', `until curl -sf -o /dev/null ${page('index.html')}; do sleep 0.01; done`);
    const taken: number[] = [];
    for (let round = 0; round < 6; round++) taken.push(await timed(step));
    measured.push(median(taken.slice(1)));
    await client.removeAll();
  }
  const [docker = Number.NaN, caisson = Number.NaN] = measured;
  return { name, unit: 'ms', docker, caisson, maxRatio };
}

function runWeb(script: string): string[] {
  const publish = `127.0.0.1:${String(webPort)}:80`;
  return ['run', '-d', '--name', 'bench-web', '-p', publish, 'busybox', 'sh', '-c', script];
}

function page(path: string): string {
  return `http://127.0.0.1:${String(webPort)}/${path}`;
}

function onHost(bench: NetworkBench, ...command: string[]): void {
  const [program = '', ...args] = bench.namespace.wrap(command);
  execFileSync(program, args, { stdio: 'ignore', timeout: 60_000 });
}
