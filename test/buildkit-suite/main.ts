// BuildKit's own client tests against an engine of ours, or against dockerd, to know which of them that one passes.

import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { startBuildKitOracle } from '../support/engines/buildkit-oracle';
import { CaissonDaemon } from '../support/engines/caisson-daemon';
import { startRegistry } from '../support/images/registry-process';
import { NetworkNamespace } from '../support/network/network-namespace';
import { makeScratchDir } from '../support/process/scratch-dir';
import { projectDir } from '../support/process/project-dir';
import { tryBuilders } from './builders';
import { exceptions } from './exceptions';
import { SuiteImages } from './images';
import { passedByDockerd } from './passed';
import { readResults } from './results';

const mirrorPort = 5001;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'caisson' },
    worker: { type: 'string', default: 'dockerd' },
    /** A pattern of `go test`, without the worker. */
    run: { type: 'string' },
    /** Every test, not those only that dockerd passes. */
    all: { type: 'boolean', default: false },
    /** Instead of the tests: buildkitd in a container, by buildx' drivers. */
    builders: { type: 'boolean', default: false },
    out: { type: 'string', default: '' },
    parallel: { type: 'string', default: '1' },
    timeout: { type: 'string', default: '60m' },
  },
});
const [suiteDir = ''] = positionals;
const tests =
  values.run ??
  `Test[A-Za-z]*Integration/${values.all ? '.*' : `^(${passedByDockerd.filter((name) => exceptions[name] === undefined).join('|')})$`}`;
const out = values.out === '' ? join(suiteDir, values.engine) : values.out;

async function main(): Promise<void> {
  const stops: (() => unknown)[] = [];
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  try {
    const dir = makeScratchDir('suite');
    stops.push(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));
    const namespace = await NetworkNamespace.create();
    stops.push(() => namespace.delete());
    const mirrorDir = join(dir, 'mirror');
    mkdirSync(mirrorDir);
    const registry = await startRegistry({ dir: mirrorDir, namespace, port: mirrorPort });
    stops.push(() => registry.stop());
    // that this is there tells the suite that the mirror needs no start
    writeFileSync(join(mirrorDir, 'config.yaml'), '');
    new SuiteImages(join(dir, 'images'), namespace, mirrorPort).push();
    const mirror = `http://127.0.0.1:${mirrorPort}`;
    const host = await startEngine(join(dir, 'e'), namespace, mirror, stops);
    if (values.builders) {
      await tryBuilders({ dir, suiteDir, namespace, host, dataRoot: join(dir, 'e', 'data') });
      return;
    }
    await runTests({ dir, namespace, mirrorDir, host }, interrupted.signal);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function startEngine(
  dir: string,
  namespace: NetworkNamespace,
  mirror: string,
  stops: (() => unknown)[],
): Promise<string> {
  const isContainerd = values.worker === 'dockerd-containerd';
  if (values.engine === 'dockerd') {
    const config = { 'registry-mirrors': [mirror], features: { 'containerd-snapshotter': isContainerd } };
    const oracle = await startBuildKitOracle(dir, namespace, false, config);
    stops.push(() => oracle.stop());
    return oracle.host;
  }
  const daemon = await CaissonDaemon.start({
    dir,
    namespace,
    args: ['--registry-mirror', mirror, '--log-level', 'debug'],
  });
  stops.push(() => daemon.stop());
  stops.push(() => writeLog(daemon.dir));
  return daemon.host;
}

function writeLog(dir: string): void {
  rmSync(`${out}.log`, { force: true });
  spawn('cp', [join(dir, 'caisson.log'), `${out}.log`]);
}

async function runTests(
  lab: { dir: string; namespace: NetworkNamespace; mirrorDir: string; host: string },
  interrupted: AbortSignal,
): Promise<void> {
  const harness = join(projectDir, 'test', 'buildkit-suite', 'harness');
  const command = lab.namespace.wrap([
    join(suiteDir, 'bin', 'client.test'),
    ...['-test.v=test2json', '-test.parallel', values.parallel, '-test.timeout', values.timeout],
    ...['-test.run', `${tests}/worker=${values.worker}$`],
  ]);
  const [program = '', ...args] = command;
  const temporary = join(lab.dir, 't');
  mkdirSync(temporary);
  const child = spawn(program, args, {
    cwd: join(suiteDir, 'src', 'client'),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${harness}:${join(suiteDir, 'bin')}:${process.env['PATH'] ?? ''}`,
      TMPDIR: temporary,
      TEST_DOCKERD: '1',
      DAEMON_SOCKET: lab.host.replace('unix://', ''),
      BUILDKIT_REGISTRY_MIRROR_DIR: lab.mirrorDir,
      MIRROR_PORT: String(mirrorPort),
      REAL_REGISTRY: '/usr/bin/docker-registry',
    },
  });
  interrupted.addEventListener('abort', () => child.kill('SIGKILL'));
  const output = createWriteStream(`${out}.out`);
  child.stdout.pipe(output);
  child.stderr.pipe(output, { end: false });
  child.stdout.on('data', (data: Buffer) => {
    for (const line of data.toString().split('\n'))
      if (/^\x16? *--- /.test(line)) process.stdout.write(`${line}\n`);
  });
  await new Promise((resolve) => child.once('close', resolve));
  const results = readResults(`${out}.out`);
  writeFileSync(`${out}.json`, `${JSON.stringify(Object.fromEntries(results), null, 1)}\n`);
  const counts = new Map<string, number>();
  for (const result of results.values()) counts.set(result, (counts.get(result) ?? 0) + 1);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
  if (values.all || values.engine === 'dockerd') return;
  const failed = [...results].filter(([name, result]) => result === 'FAIL' && exceptions[name] === undefined);
  if (failed.length > 0 || results.size === 0) {
    process.stdout.write(`failed: ${failed.map(([name]) => name).join(', ')}\n`);
    process.exitCode = 1;
  }
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
});
