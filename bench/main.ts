// Caisson against dockerd, on this machine, in one run: each row is measured on both before the next one is.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { CaissonDaemon } from '../test/support/engines/caisson-daemon';
import { registryHost } from '../test/support/images/test-images';
import { buildMeasurements, type BuildBench } from './builds';
import { firstCheckpoint, laterCheckpoint, startFromCheckpoint } from './checkpoint';
import { databaseRows } from './database';
import { family, manyAtOnce, manyInARow, restartUnderLoad, watchingMany } from './crowd';
import { runInLab, type Lab } from './lab';
import {
  childPids,
  DockerClient,
  median,
  medians,
  pssMib,
  rssMib,
  smallest,
  timed,
  type Work,
} from './measure';
import { memoryRow } from './memory';
import { networkMeasurements, type NetworkBench } from './network';
import { idleVmsMemory, podReplace, vmRun } from './pods';
import { formatTable, type Row } from './table';
import { describeVersions } from './versions';

interface Bench extends NetworkBench, BuildBench {
  /** The same daemon program without a pool. */
  noPool: DockerClient;
  caissonDaemon: CaissonDaemon;
  dockerPid: number;
  /** Scratch. */
  dir: string;
}

type Measurement = (bench: Bench) => Promise<Row | Row[]>;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

async function compare(
  name: string,
  maxRatio: number,
  clients: readonly [DockerClient, DockerClient],
  work: Work,
  inTurn = true,
): Promise<Row> {
  const [docker = Number.NaN, caisson = Number.NaN] = await medians(clients, work, inTurn);
  return { name, unit: 'ms', docker, caisson, maxRatio };
}

const runTrue: Work = { times: 15, step: (client) => client.run('run', '--rm', 'busybox', 'true') };

const measurements: Record<string, Measurement> = {
  ...networkMeasurements,
  'run --rm busybox true': ({ docker, caisson }) =>
    // time for the pool to fill up again, as between a person's commands
    compare('run --rm busybox true', 1, [docker, caisson], { ...runTrue, between: () => pause(1500) }),
  'run, back to back': ({ docker, caisson }) =>
    compare('… back to back', 1, [docker, caisson], runTrue, false),
  'run, pool off': ({ docker, noPool }) => compare('… with the pool off', 2, [docker, noPool], runTrue),
  'exec true': ({ docker, caisson }) =>
    compare('exec true', 1.5, [docker, caisson], {
      times: 15,
      prepare: (client) => client.run('run', '-d', '--name', 'bench-exec', 'busybox', 'sleep', '1000'),
      step: (client) => client.run('exec', 'bench-exec', 'true'),
    }),
  create: ({ docker, caisson }) =>
    compare('create', 1, [docker, caisson], {
      times: 15,
      step: (client) => client.run('create', 'busybox', 'true'),
    }),
  'ps with 200 containers': ({ docker, caisson }) =>
    compare('ps -a with 200 containers', 1, [docker, caisson], {
      times: 15,
      prepare: async (client) => {
        for (let index = 0; index < 200; index += 1) {
          await client.post(`/v1.41/containers/create?name=bench-ps-${index}`, {
            Image: 'busybox',
            Cmd: ['true'],
          });
        }
      },
      step: (client) => client.run('ps', '-a'),
    }),
  'pull of 100 MB': ({ docker, caisson }) =>
    compare('pull of a 100 MB image', 1.2, [docker, caisson], {
      times: 3,
      step: (client) => client.run('pull', `${registryHost}/hundred`),
      between: (client) => client.run('rmi', `${registryHost}/hundred`),
    }),
  'push of 100 MB': ({ docker, caisson, dir }) =>
    compare('push of a new layer of 100 MB', 1.5, [docker, caisson], {
      times: 3,
      prepare: (client) => importNew(client, dir),
      step: (client) => client.run('push', '-q', pushedName),
      between: (client) => importNew(client, dir),
    }),
  'save of 200 MB': ({ docker, caisson, dir }) => {
    const archive = twoHundredMegabytes(dir);
    return compare('save of 200 MB', 1.5, [docker, caisson], {
      times: 3,
      prepare: (client) => client.run('load', '-q', '-i', archive),
      step: (client) => client.run('save', '-o', join(dir, 'saved.tar'), 'two-hundred'),
    });
  },
  'load of 200 MB': ({ docker, caisson, dir }) => {
    const archive = twoHundredMegabytes(dir);
    return compare('load of 200 MB', 1.2, [docker, caisson], {
      times: 3,
      prepare: (client) => client.run('rmi', '-f', 'two-hundred'),
      step: (client) => client.run('load', '-q', '-i', archive),
      between: (client) => client.run('rmi', 'two-hundred'),
    });
  },
  'build, nothing cached': ({ docker, caisson, dir }) =>
    compare('build of 20 steps, nothing cached', 1.2, [docker, caisson], {
      times: 3,
      step: (client) => client.run('build', '-q', '--no-cache', twentySteps(dir)),
    }),
  'build, all cached': ({ docker, caisson, dir }) =>
    compare('build of 20 steps, all cached', 1.5, [docker, caisson], {
      times: 5,
      prepare: (client) => client.run('build', '-q', twentySteps(dir)),
      step: (client) => client.run('build', '-q', twentySteps(dir)),
    }),
  ...buildMeasurements,
  'cp of 100 MB in': ({ docker, caisson, dir }) =>
    compare('cp of 100 MB into a container', 2, [docker, caisson], {
      times: 3,
      prepare: (client) => client.run('run', '-d', '--name', 'bench-cp', 'busybox', 'sleep', '1000'),
      step: (client) => client.run('cp', hundredMegabytes(dir), 'bench-cp:/file'),
    }),
  'cp of 100 MB out': ({ docker, caisson, dir }) =>
    compare('cp of 100 MB out of a container', 2, [docker, caisson], {
      times: 3,
      prepare: (client) => {
        client.run('run', '-d', '--name', 'bench-cp', 'busybox', 'sleep', '1000');
        client.run('cp', hundredMegabytes(dir), 'bench-cp:/file');
      },
      step: (client) => client.run('cp', 'bench-cp:/file', join(dir, 'copied')),
    }),
  'commit of 100 MB': ({ docker, caisson, dir }) =>
    compare('commit of 100 MB', 2, [docker, caisson], {
      times: 3,
      prepare: (client) => {
        client.run('run', '-d', '--name', 'bench-cp', 'busybox', 'sleep', '1000');
        client.run('cp', hundredMegabytes(dir), 'bench-cp:/file');
      },
      step: (client) => client.run('commit', 'bench-cp', 'bench-committed'),
      between: (client) => client.run('rmi', 'bench-committed'),
    }),
  // Bound by the guest: each file is some questions to the host (docs/adr/0008-guest-file-cache.md).
  'small files: volume': (bench) => smallFiles(bench, '10,000 small files in a volume', 'bench-small:/files'),
  'small files: bind': (bench) => {
    mkdirSync(join(bench.dir, 'small'), { recursive: true });
    return smallFiles(bench, '10,000 small files in a bind mount', `${join(bench.dir, 'small')}:/files`);
  },
  'small files: disk': (bench) => {
    makeDiskVolume(bench, 'bench-small-disk');
    return smallFiles(bench, '10,000 small files in a volume that is a disk', 'bench-small-disk:/files');
  },
  'postgres: volume': ({ docker, caisson }) =>
    databaseRows([docker, caisson], 'on a volume', 'bench-database'),
  'postgres: bind': ({ docker, caisson, dir }) =>
    databaseRows([docker, caisson], 'on a bind mount', join(dir, 'database')),
  'postgres: disk': (bench) => {
    makeDiskVolume(bench, 'bench-database-disk');
    return databaseRows([bench.docker, bench.caisson], 'on a volume that is a disk', 'bench-database-disk');
  },
  'logs of 200,000 lines': ({ docker, caisson }) =>
    compare('logs of 200,000 lines', 1, [docker, caisson], {
      times: 5,
      prepare: (client) => client.run('run', '--name', 'bench-logs', 'busybox', 'seq', '200000'),
      step: (client) => client.run('logs', 'bench-logs'),
    }),
  'idle VM': async ({ caissonDaemon }) => {
    await pause(5000);
    const sizes = caissonDaemon.qemuPids().map(pssMib);
    return {
      name: `memory of an idle VM (PSS, ${sizes.length} running)`,
      unit: 'MiB',
      caisson: median(sizes),
      max: 64,
    };
  },
  'daemon RSS': async ({ caissonDaemon, dockerPid }) => {
    const docker = await smallest(() =>
      [dockerPid, ...childPids(dockerPid)].map(rssMib).reduce((sum, size) => sum + size, 0),
    );
    const caisson = await smallest(() => rssMib(caissonDaemon.process.pid));
    return { name: 'memory of the daemon when idle (RSS)', unit: 'MiB', docker, caisson, max: 120 };
  },
  'pod replace': podReplace,
  'vm run': vmRun,
  '50 idle VMs': idleVmsMemory,
  '100 in a row': manyInARow,
  '20 at once': manyAtOnce,
  'checkpoint, first': firstCheckpoint,
  'checkpoint, later': laterCheckpoint,
  'start from a checkpoint': startFromCheckpoint,
  'update of memory: full, inside': (bench) => memoryRow(bench, 'full', 'inside'),
  'update of memory: full': (bench) => memoryRow(bench, 'full', 'host'),
  'update of memory: down, inside': (bench) => memoryRow(bench, 'down', 'inside'),
  'update of memory: down': (bench) => memoryRow(bench, 'down', 'host'),
  'update of memory: up, inside': (bench) => memoryRow(bench, 'up', 'inside'),
  'update of memory: up': (bench) => memoryRow(bench, 'up', 'host'),
  'stats of 50: daemon': ({ caisson, caissonDaemon }) =>
    watchingMany(
      caisson,
      () => {
        const vms = new Set(caissonDaemon.qemuPids());
        return family(caissonDaemon.process.pid).filter((pid) => !vms.has(pid));
      },
      'the daemon',
    ),
  'stats of 50: VMs': ({ caisson, caissonDaemon }) =>
    watchingMany(caisson, () => caissonDaemon.qemuPids(), 'all VMs'),
  'restart under load': restartUnderLoad,
  'start-up': async ({ caissonDaemon }) => {
    await caissonDaemon.process.stop();
    const taken = await timed(() => caissonDaemon.start());
    return { name: 'start-up of the daemon, to its first answer', unit: 'ms', caisson: taken, max: 1000 };
  },
};

/** Files that are made, read and removed, one by one. */
/** dockerd has a label there that it has no use for. */
function makeDiskVolume({ docker, caisson }: Bench, name: string): void {
  for (const client of [docker, caisson])
    client.run('volume', 'create', '--label', 'caisson.volume=disk', name);
}

async function smallFiles(bench: Bench, name: string, mount: string): Promise<Row> {
  const script = 'cd /files; for i in $(seq 10000); do echo $i >$i; done; cat * >/dev/null; rm *';
  const [docker = Number.NaN, caisson = Number.NaN] = await medians([bench.docker, bench.caisson], {
    times: 1,
    prepare: (client) =>
      client.run('run', '-d', '--name', 'bench-small', '-v', mount, 'busybox', 'sleep', '10000'),
    step: (client) => client.run('exec', 'bench-small', 'sh', '-c', script),
  });
  return { name, unit: 'ms', docker, caisson, maxRatio: 10 };
}

const pushedName = `${registryHost}/pushed`;

/** An image of one layer of 100 MB, half noise and half text, that no registry has yet. */
function importNew(client: DockerClient, dir: string): void {
  const tar = join(dir, 'pushed.tar');
  shell(dir, `${content} && date +%N >stamp && tar -cf pushed.tar noise text stamp`);
  client.run('import', tar, pushedName);
}

/** A docker-archive of one layer of 200 MB. */
function twoHundredMegabytes(dir: string): string {
  const archive = join(dir, 'two-hundred.tar');
  if (existsSync(archive)) return archive;
  shell(
    dir,
    `${content} && mkdir two && cp noise two/a && cp text two/b && cp text two/c && head -c 50000000 /dev/urandom >two/d && tar -C two -cf layer.tar . && rm -r two
    d=$(sha256sum <layer.tar | cut -c-64)
    printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $d >config.json
    echo '[{"Config":"config.json","RepoTags":["two-hundred:latest"],"Layers":["layer.tar"]}]' >manifest.json
    tar -cf two-hundred.tar manifest.json config.json layer.tar && rm layer.tar`,
  );
  return archive;
}

/** A file of 100 MB. */
function hundredMegabytes(dir: string): string {
  const path = join(dir, 'hundred.bin');
  if (!existsSync(path)) shell(dir, `${content} && cat noise text >hundred.bin`);
  return path;
}

/** A build's context: 20 steps, of which 8 run a command and 4 copy a file. */
function twentySteps(dir: string): string {
  const context = join(dir, 'twenty');
  if (existsSync(context)) return context;
  mkdirSync(context);
  writeFileSync(join(context, 'file'), 'content\n');
  const four = (index: number): string =>
    `COPY file /f${index}\nRUN cat /f${index} >/r${index}\nENV e${index}=x\nRUN echo $e${index} >/s${index}\n`;
  const steps = [1, 2, 3, 4].map(four).join('');
  writeFileSync(join(context, 'Dockerfile'), `FROM busybox\n${steps}LABEL a=b\nUSER nobody\nCMD ["true"]\n`);
  return context;
}

/** Half noise, half text: compresses as real images do. */
const content =
  '{ [ -e noise ] || { head -c 50000000 /dev/urandom >noise; yes "some text of no meaning" | head -c 50000000 >text; }; }';

function shell(cwd: string, script: string): void {
  execFileSync('sh', ['-ec', script], { cwd });
}

/** An image of 100 MB that does not compress much better than real ones, pushed to the registry. */
function pushHundredMegabytes(client: DockerClient, dir: string): void {
  const context = join(dir, 'hundred');
  mkdirSync(context);
  // half noise, half text
  shell(context, content);
  writeFileSync(join(context, 'Dockerfile'), `FROM ${registryHost}/busybox\nCOPY noise text /data/\n`);
  execFileSync(
    '/usr/bin/docker',
    ['--host', client.host, 'build', '-q', '-t', `${registryHost}/hundred`, context],
    {
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
    },
  );
  client.run('push', '-q', `${registryHost}/hundred`);
  client.run('rmi', '-f', `${registryHost}/hundred`);
}

async function main(wanted: readonly string[], lab: Lab): Promise<void> {
  const { dir, namespace, oracle } = lab;
  const caissonDaemon = await lab.startCaisson('c', ['--experimental']);
  const noPoolDaemon = await lab.startCaisson('n', ['--pool-size', '0']);
  const bench: Bench = {
    atEnd: lab.atEnd,
    busybox: `${registryHost}/busybox`,
    docker: new DockerClient(oracle.host),
    caisson: new DockerClient(caissonDaemon.host),
    noPool: new DockerClient(noPoolDaemon.host),
    caissonDaemon,
    namespace,
    runDir: join(caissonDaemon.dir, 'run'),
    dockerPid: oracle.process.pid,
    dir,
  };
  for (const client of [bench.docker, bench.caisson, bench.noPool]) {
    client.run('pull', '-q', `${registryHost}/busybox`);
    client.run('tag', `${registryHost}/busybox`, 'busybox');
  }
  pushHundredMegabytes(bench.docker, dir);

  process.stdout.write(await describeVersions(bench.docker, bench.caisson));

  const rows: Row[] = [];
  const failures: string[] = [];
  for (const [name, measure] of Object.entries(measurements)) {
    if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
    process.stderr.write(`measuring ${name}\n`);
    try {
      const measured = [await measure(bench)].flat();
      rows.push(...measured);
      process.stderr.write(formatTable(measured)); // whoever breaks off has those until then
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      process.stderr.write(`failed: ${failures.at(-1)}\n`);
      for (const client of [bench.docker, bench.caisson, bench.noPool]) await client.removeAll();
    }
  }
  process.stdout.write(formatTable(rows));
  if (failures.length === 0) return;
  process.stdout.write(`\nFailed:\n${failures.join('\n')}\n`);
  process.exitCode = 1;
}

runInLab((lab) => main(process.argv.slice(2), lab));
