// PostgreSQL in a container, its files on a volume or on a bind mount.

import { registryHost } from '../test/support/images/test-images';
import { type DockerClient, timed } from './measure';
import type { Row } from './table';

const image = `${registryHost}/services`;
const programs = '/usr/lib/postgresql/15/bin';
/** Where the mount is, and where in it the cluster lies. */
const mountPoint = '/database';
export const clusterPath = `${mountPoint}/cluster`;

/** What `docker run` is told of a container `name` with the files of a database at `source`, a volume or a directory. */
export function databaseOptions(name: string, source: string): string[] {
  return ['--name', name, '--volume', `${source}:${mountPoint}`, '--env', `PATH=${programs}:/usr/bin:/bin`];
}

export function pullDatabase(client: DockerClient): string {
  client.run('pull', '--quiet', image);
  return image;
}

/** Arguments of docker: a shell's script as the user who owns the cluster, in a container of `databaseOptions`. */
export function asPostgres(name: string, script: string): string[] {
  return ['exec', '--user', 'postgres', '--workdir', '/tmp', name, 'sh', '-ec', script];
}

export const makeDirectory = `rm -rf ${clusterPath} && install -d -m 700 -o postgres -g postgres ${clusterPath}`;
export const makeCluster = `initdb -D ${clusterPath} --data-checksums --no-locale -E UTF8 >/dev/null`;

async function measureOn(client: DockerClient, source: string): Promise<number[]> {
  const name = 'bench-database';
  const options = databaseOptions(name, source);
  client.run('run', '--detach', ...options, pullDatabase(client), 'sleep', '100000');
  client.run('exec', name, 'sh', '-c', makeDirectory);
  const step = (script: string): Promise<number> => timed(() => client.run(...asPostgres(name, script)));
  const made = await step(makeCluster);
  await step(`pg_ctl -D ${clusterPath} -w -t 600 -l /tmp/log start`);
  const filled = await step('pgbench -qi postgres');
  const changed = await step('pgbench -c 4 -t 250 postgres');
  await step(`pg_ctl -D ${clusterPath} -w -t 600 stop`);
  await client.removeAll();
  return [made, filled, changed];
}

/** Bound by the guest, which is emulated at worst, and asks the host for each file: `max` is for that. One time each. */
export async function databaseRows(
  clients: readonly [DockerClient, DockerClient],
  where: string,
  source: string,
): Promise<Row[]> {
  const docker = await measureOn(clients[0], source);
  const caisson = await measureOn(clients[1], source);
  const row = (index: number, what: string, max: number): Row => ({
    name: `${what} ${where}`,
    unit: 'ms',
    docker: docker[index] ?? Number.NaN,
    caisson: caisson[index] ?? Number.NaN,
    max,
  });
  return [
    row(0, 'initdb', 100_000),
    row(1, 'pgbench -i', 30_000),
    row(2, 'pgbench, 1,000 transactions of 4 clients,', 40_000),
  ];
}
