// Many containers: a hundred one after the other, twenty at once, and what watching fifty of them costs.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import type { CaissonDaemon } from '../test/support/engines/caisson-daemon';
import { startLoad } from '../test/stress/load';
import { childPids, type DockerClient, timed } from './measure';
import type { Row } from './table';

const inARow = 100;
const atOnce = 20;
const othersPerCpu = 4;
const watched = 50;
const watchSeconds = 20;
/** Of /proc/PID/stat: USER_HZ. */
const ticksPerSecond = 100;

/** Resolves when the command has ended well. */
function runAsync(client: DockerClient, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('/usr/bin/docker', ['--host', client.host, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`docker ${args.join(' ')}: ${complaint}`));
    });
  });
}

const both = async (
  clients: { docker: DockerClient; caisson: DockerClient },
  work: (client: DockerClient) => Promise<void>,
): Promise<{ docker: number; caisson: number }> => {
  await work(clients.docker).then(() => work(clients.caisson)); // does not count
  return {
    docker: await timed(() => work(clients.docker)),
    caisson: await timed(() => work(clients.caisson)),
  };
};

/** Throws if one of them fails. */
export async function manyInARow(clients: { docker: DockerClient; caisson: DockerClient }): Promise<Row> {
  const work = async (client: DockerClient): Promise<void> => {
    for (let index = 0; index < inARow / 2; index += 1)
      await runAsync(client, 'run', '--rm', 'busybox', 'true');
  };
  const { docker, caisson } = await both(clients, work);
  // The round that does not count has run the other half.
  return {
    name: `${inARow} × run --rm true, in a row (half of them timed)`,
    unit: 'ms',
    docker,
    caisson,
    maxRatio: 1.5,
  };
}

/** Throws if one of them fails. */
export async function manyAtOnce(clients: { docker: DockerClient; caisson: DockerClient }): Promise<Row> {
  const work = async (client: DockerClient): Promise<void> => {
    const runs = Array.from({ length: atOnce }, () => runAsync(client, 'run', '--rm', 'busybox', 'true'));
    await Promise.all(runs);
  };
  const { docker, caisson } = await both(clients, work);
  return { name: `${atOnce} × run --rm true, at once`, unit: 'ms', docker, caisson, maxRatio: 1.5 };
}

/**
 * The daemon is killed and started again while its VMs and other people's programs want the CPUs: until `ps` has told of all of
 * them, and until each is known to run as recorded.
 */
export async function restartUnderLoad({ caisson, caissonDaemon }: RestartedBench): Promise<Row[]> {
  const endless = ['busybox', 'sh', '-c', 'while :; do :; done'];
  for (let index = 0; index < atOnce; index += 1)
    await runAsync(caisson, 'run', '-d', '--name', `bench-restart-${index}`, ...endless);
  const endLoad = startLoad(othersPerCpu);
  try {
    const { logPath } = caissonDaemon.process;
    await caissonDaemon.kill9();
    const logged = readFileSync(logPath, 'utf8').length;
    const isSettled = (): boolean =>
      readFileSync(logPath, 'utf8').slice(logged).includes('every record is true');
    const start = performance.now();
    const answered = await aheadOfOthers(caissonDaemon.start(), async () => {
      await caisson.get('/v1.41/containers/json');
      return performance.now() - start;
    });
    while (!isSettled()) await pause(100);
    const settled = performance.now() - start;
    const what = `the daemon, killed with ${atOnce} busy VMs and ${othersPerCpu} busy programs for each CPU`;
    const own = /msg="?ready"? .*/.exec(readFileSync(logPath, 'utf8').slice(logged))?.[0];
    process.stderr.write(`the daemon's own account: ${own ?? 'none'}\n`);
    return [
      { name: `${what}: until it has listed them`, unit: 'ms', caisson: answered, max: 2000 },
      { name: `${what}: until every record is true`, unit: 'ms', caisson: settled },
    ];
  } finally {
    endLoad();
    await caisson.removeAll();
  }
}

/** What is measured is the daemon, not how long this process waits for a CPU. `started` was begun at the usual priority. */
async function aheadOfOthers<T>(started: Promise<void>, ask: () => Promise<T>): Promise<T> {
  const usual = getPriority();
  setPriority(constants.priority.PRIORITY_HIGHEST);
  try {
    await started;
    return await ask();
  } finally {
    setPriority(usual);
  }
}

interface RestartedBench {
  caisson: DockerClient;
  caissonDaemon: CaissonDaemon;
}

/** CPU of the daemon and, where there are any, of its VMs, for `docker stats`, beyond what they take unwatched. */
export async function watchingMany(
  client: DockerClient,
  pids: () => readonly number[],
  name: string,
): Promise<Row> {
  for (let index = 0; index < watched; index += 1) {
    await runAsync(client, 'run', '-d', '--name', `bench-stats-${index}`, 'busybox', 'sleep', '10000');
  }
  const idle = await cpuPercent(pids);
  const stats = spawn('/usr/bin/docker', ['--host', client.host, 'stats'], { stdio: 'ignore' });
  await pause(3000); // the first samples
  const busy = await cpuPercent(pids);
  stats.kill();
  await client.removeAll();
  return {
    name: `docker stats of ${watched}: ${name}, % of a core`,
    unit: '%',
    caisson: busy - idle,
    max: 10,
  };
}

async function cpuPercent(pids: () => readonly number[]): Promise<number> {
  const total = (): number => pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = total();
  await pause(watchSeconds * 1000);
  return ((total() - before) / watchSeconds) * 100;
}

function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return 0; // gone meanwhile
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A process and its children. */
export function family(pid: number): number[] {
  return [pid, ...childPids(pid)];
}
