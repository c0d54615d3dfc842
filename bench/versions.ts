// What is measured, with what, on what: figures of other versions are no figures to compare with.

import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';

import type { DockerClient } from './measure';

/** The engine that the goals were set against; `CAISSON_BENCH_ANY_ENGINE=1` measures beside any other. */
const expectedEngine = '20.10.';

interface EngineVersion {
  Version: string;
  KernelVersion?: string;
}

/** Lines about dockerd, Caisson, the docker command, QEMU and the machine. Throws where dockerd isn't the one expected. */
export async function describeVersions(docker: DockerClient, caisson: DockerClient): Promise<string> {
  const [dockerd, ours] = (await Promise.all(
    [docker, caisson].map(async (client) => JSON.parse(await client.get('/version')) as EngineVersion),
  )) as [EngineVersion, EngineVersion];
  if (!dockerd.Version.startsWith(expectedEngine) && process.env['CAISSON_BENCH_ANY_ENGINE'] !== '1') {
    throw new Error(
      `dockerd is ${dockerd.Version}, the goals are for ${expectedEngine}x: CAISSON_BENCH_ANY_ENGINE=1 compares all the same`,
    );
  }
  const lines: [string, string][] = [
    ['dockerd', dockerd.Version],
    ['Caisson', `${ours.Version}, Node ${process.version}`],
    ['docker command', firstLine('/usr/bin/docker', ['--version'])],
    ['QEMU', firstLine('qemu-system-x86_64', ['--version'])],
    [
      'machine',
      `Linux ${release()}, ${cpus().length} CPUs (${cpus()[0]?.model ?? '?'}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    ],
  ];
  return lines.map(([what, version]) => `${what}: ${version}\n`).join('');
}

function firstLine(program: string, args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8' }).split('\n')[0] ?? '';
}
