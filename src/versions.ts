// What this daemon is made of, for `version` and `info`.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { advertisedApiVersion, minimumApiVersion } from './docker/api-versions';
import type { Config } from './config';

/** What the daemon is made of. daemon.ts finds it out once. */
export interface SystemVersions {
  /** Of Caisson: package.json. */
  engine: string;
  gitCommit: string;
  /** RFC 3339. */
  buildTime: string;
  /** As `qemu-system-x86_64 --version` tells it: `7.2.17`. */
  qemu: string;
  /** From the guest's manifest: kernel release and the agent's build id. */
  guestKernel: string;
  agentBuild: string;
  /** Of the API: what is advertised and the lowest that is served. */
  api: string;
  minimumApi: string;
}

/** Where it was put, or cloned to. */
export const projectDir = join(__dirname, '..');

/** How it came onto this machine. */
export type Packaging = 'checkout' | 'npm' | 'debian';

export interface Build {
  version: string;
  /** Of the source; '' where nobody knows. */
  commit: string;
  /** RFC 3339: of that commit, so that two builds of it say the same. */
  date: string;
  packaging: Packaging;
}

/** Version of the package. */
export function caissonVersion(): string {
  const text = readFileSync(join(projectDir, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version; // our own file
}

/** What a package says of itself; packaging/stage.mjs writes it. */
const buildInfo = join(projectDir, 'build-info.json');

export function readPackaging(): Packaging {
  return existsSync(buildInfo) ? readBuild().packaging : 'checkout';
}

/** As the package says; of a checkout, as git does. */
export function readBuild(): Build {
  if (existsSync(buildInfo)) return JSON.parse(readFileSync(buildInfo, 'utf8')) as Build; // our own file
  const [commit = '', date = ''] = lastCommit();
  return {
    version: caissonVersion(),
    commit: process.env['CAISSON_GIT_COMMIT'] ?? commit,
    date: date === '' ? statSync(__filename).mtime.toISOString() : new Date(date).toISOString(),
    packaging: 'checkout',
  };
}

function lastCommit(): string[] {
  if (!existsSync(join(projectDir, '.git'))) return [];
  try {
    const args = ['-C', projectDir, 'log', '-1', '--format=%H %cI'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split(' ');
  } catch {
    return [];
  }
}

/** QEMU is asked only once it is needed: it takes some tens of milliseconds to say. */
export function readVersions(config: Config): SystemVersions {
  const manifest = readManifest(config.guestDir);
  const { version, commit, date } = readBuild();
  let qemu: string | undefined;
  return {
    engine: version,
    gitCommit: commit,
    buildTime: date,
    get qemu() {
      qemu ??= qemuVersion(config.qemuBinary);
      return qemu;
    },
    guestKernel: manifest.kernelVersion ?? '',
    agentBuild: manifest.agentBuild ?? '',
    api: advertisedApiVersion,
    minimumApi: minimumApiVersion,
  };
}

function qemuVersion(binary: string): string {
  try {
    return /version (\S+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' }))?.[1] ?? '';
  } catch {
    return '';
  }
}

function readManifest(guestDir: string): { kernelVersion?: string; agentBuild?: string } {
  try {
    return JSON.parse(readFileSync(join(guestDir, 'manifest.json'), 'utf8')) as { kernelVersion?: string };
  } catch {
    return {};
  }
}
