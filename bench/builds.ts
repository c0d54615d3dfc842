// Rows about builds with BuildKit, through the same docker command and its buildx plugin, beside the dockerd of Debian's next release.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { startBuildKitOracle } from '../test/support/engines/buildkit-oracle';
import type { NetworkNamespace } from '../test/support/network/network-namespace';
import { projectDir } from '../test/support/process/project-dir';
import { DockerClient, median, medians, timed } from './measure';
import type { Row } from './table';

export interface BuildBench {
  caisson: DockerClient;
  namespace: NetworkNamespace;
  /** Scratch. */
  dir: string;
  /** Does it when all is measured. */
  atEnd: (stop: () => Promise<void>) => void;
  busybox: string;
}

type Measurement = (bench: BuildBench) => Promise<Row | Row[]>;

const transferRounds = 5;
const fileCount = 10_000;

const withStepsOfItsOwn = Array.from(
  { length: 4 },
  (_, i) => `COPY file /f${i}\nRUN cat /f${i} >/r${i}\nRUN echo ${i} >/s${i}\n`,
);
/** 8 RUN, 4 COPY. */
const twelveSteps = `FROM busybox\n${withStepsOfItsOwn.join('')}CMD ["true"]\n`;

export const buildMeasurements: Record<string, Measurement> = {
  'buildkit, nothing cached': async (bench) => {
    const context = contextOf(bench, 'twelve', { Dockerfile: twelveSteps, file: 'content\n' });
    const [docker = Number.NaN, caisson = Number.NaN] = await medians(await clientsOf(bench), {
      times: 5,
      step: (client) => client.run('build', '-q', '--no-cache', context),
    });
    const name = 'BuildKit: 8 RUN and 4 COPY, nothing cached';
    return { name, unit: 'ms', docker, caisson, maxRatio: 1.2 };
  },

  'buildkit, all cached': async (bench) => {
    const context = contextOf(bench, 'twelve', { Dockerfile: twelveSteps, file: 'content\n' });
    const [docker = Number.NaN, caisson = Number.NaN] = await medians(await clientsOf(bench), {
      times: 9,
      prepare: (client) => client.run('build', '-q', context),
      step: (client) => client.run('build', '-q', context),
    });
    return { name: '… all cached', unit: 'ms', docker, caisson, maxRatio: 1 };
  },

  'buildkit, context of 200 MB': (bench) => {
    const context = contextOf(bench, 'big', { Dockerfile: 'FROM scratch\nCOPY . /\n' });
    const files = ['a', 'b', 'c', 'd'].map((name) => join(context, name));
    for (const file of files) {
      if (!existsSync(file)) execFileSync('sh', ['-c', 'head -c 50000000 /dev/urandom >"$0"', file]);
    }
    return transfer(bench, 'a context of 200 MB', context, files);
  },

  'buildkit, context of 10,000 files': (bench) => {
    const context = contextOf(bench, 'many', { Dockerfile: 'FROM scratch\nCOPY . /\n' });
    const files = Array.from({ length: fileCount }, (_, i) => join(context, `d${i % 100}`, `f${i}`));
    for (const [i, file] of files.entries()) {
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, `content of ${i}\n`.repeat(20));
    }
    return transfer(bench, `a context of ${fileCount.toLocaleString('en')} files`, context, files);
  },

  'buildkit, four stages': async (bench) => {
    // each waits some time, as for a download, and works some
    const work = 'sleep 1; seq 20000 | sort >/made';
    const names = ['one', 'two', 'three', 'four'];
    const last = `FROM scratch\n${names.map((name) => `COPY --from=${name} /made /${name}\n`).join('')}`;
    const independent = names.map((name) => `FROM busybox AS ${name}\nRUN ${work} # ${name}\n`).join('');
    const parallel = contextOf(bench, 'parallel', { Dockerfile: `${independent}${last}` });
    // the same steps, each on what the one before it made
    const chained = names
      .map((name, i) => `FROM ${names[i - 1] ?? 'busybox'} AS ${name}\nRUN ${work} # ${name}\n`)
      .join('');
    const sequential = contextOf(bench, 'sequential', { Dockerfile: `${chained}${last}` });
    const caisson = new BuildxClient(bench.caisson.host, bench.dir);
    const taken: [number[], number[]] = [[], []];
    for (let round = 0; round < 3; round += 1) {
      taken[0].push(await timed(() => caisson.run('build', '-q', '--no-cache', sequential)));
      taken[1].push(await timed(() => caisson.run('build', '-q', '--no-cache', parallel)));
    }
    return {
      name: '… four independent stages (beside it, not of dockerd: one after the other)',
      unit: 'ms',
      docker: median(taken[0]),
      caisson: median(taken[1]),
      maxRatio: 1,
    };
  },

  'buildkit, small files in a cache mount': async (bench) => {
    const script = `cd /files; for i in $(seq ${fileCount}); do echo $i >$i; done; cat * >/dev/null; rm *`;
    const caisson = new BuildxClient(bench.caisson.host, bench.dir);
    const context = contextOf(bench, 'small', {
      Dockerfile: `FROM busybox\nRUN --mount=type=cache,target=/files ${script}\n`,
    });
    const mount = await timed(() => caisson.run('build', '-q', '--no-cache', context));
    const volume = await timed(() =>
      bench.caisson.run('run', '--rm', '-v', 'bench-small-volume:/files', 'busybox', 'sh', '-c', script),
    );
    bench.caisson.run('volume', 'rm', 'bench-small-volume');
    const name = '… 10,000 small files in a cache mount (beside it, not of dockerd: in a volume)';
    return { name, unit: 'ms', docker: volume, caisson: mount, maxRatio: 0.1 };
  },
};

/** The newer docker command with its buildx plugin. */
class BuildxClient extends DockerClient {
  readonly #env: NodeJS.ProcessEnv;

  constructor(host: string, dir: string) {
    super(host);
    const config = join(dir, 'buildx');
    const plugins = join(config, 'cli-plugins');
    mkdirSync(plugins, { recursive: true });
    const plugin = join(plugins, 'docker-buildx');
    if (!existsSync(plugin)) symlinkSync(join(next, 'libexec/docker/cli-plugins/docker-buildx'), plugin);
    this.#env = { ...process.env, DOCKER_CONFIG: config, DOCKER_BUILDKIT: '1' };
  }

  override run(...args: string[]): void {
    this.errors(...args);
  }

  /** stderr, where builds show their progress. */
  errors(...args: string[]): string {
    const { status, stderr } = spawnSync(join(next, 'bin/docker'), ['--host', this.host, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      env: this.#env,
    });
    if (status !== 0) throw new Error(`docker ${args.join(' ')}: ${stderr}`);
    return stderr;
  }
}

/** Packages of Debian's next release (scripts/fetch-trixie.sh). */
const next = join(projectDir, 'build/trixie/usr');
let started: Promise<readonly [BuildxClient, BuildxClient]> | undefined;

/** Of dockerd, started when the first row wants it, and of Caisson. */
function clientsOf(bench: BuildBench): Promise<readonly [BuildxClient, BuildxClient]> {
  started ??= start(bench);
  return started;
}

async function start(bench: BuildBench): Promise<readonly [BuildxClient, BuildxClient]> {
  const oracle = await startBuildKitOracle(join(bench.dir, 'b'), bench.namespace);
  bench.atEnd(() => oracle.stop());
  const docker = new BuildxClient(oracle.host, bench.dir);
  docker.run('pull', '-q', bench.busybox);
  docker.run('tag', bench.busybox, 'busybox');
  return [docker, new BuildxClient(bench.caisson.host, bench.dir)];
}

function contextOf({ dir }: BuildBench, name: string, files: Readonly<Record<string, string>>): string {
  const context = join(dir, `context-${name}`);
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context);
  for (const [file, content] of Object.entries(files)) writeFileSync(join(context, file), content);
  return context;
}

/** Two rows: how long the transfer took, by what the engine says of it, and how long the build. */
async function transfer(
  bench: BuildBench,
  what: string,
  context: string,
  files: readonly string[],
): Promise<Row[]> {
  const clients = await clientsOf(bench);
  const transfers = clients.map((): number[] => []);
  const builds = clients.map((): number[] => []);
  for (let round = 0; round <= transferRounds; round += 1) {
    for (const [i, client] of clients.entries()) {
      // what is as it was would not be asked for again
      const now = Date.now() / 1000;
      for (const file of files) utimesSync(file, now, now);
      let output = '';
      const taken = await timed(() => {
        output = client.errors('build', '--progress=plain', '--output=type=cacheonly', context);
      });
      if (round === 0) continue;
      builds[i]?.push(taken);
      transfers[i]?.push(transferMilliseconds(output));
    }
  }
  const row = (name: string, [docker = [], caisson = []]: number[][]): Row => ({
    name,
    unit: 'ms',
    docker: median(docker),
    caisson: median(caisson),
  });
  return [
    { ...row(`… transfer of ${what}`, transfers), maxRatio: 1 },
    row(`… the whole build with it, which copies it`, builds),
  ];
}

/** Of `#4 transferring context: 200.01MB 1.3s done`. */
function transferMilliseconds(progress: string): number {
  const line = progress
    .split('\n')
    .filter((text) => /transferring context: .* done$/.test(text))
    .at(-1);
  const seconds = /([\d.]+)s done$/.exec(line ?? '')?.[1];
  if (seconds === undefined) throw new Error(`no transfer of the context in: ${progress.slice(-2000)}`);
  return Number(seconds) * 1000;
}
