// What this daemon is made of, for `version` and `info`.

import { readFileSync, statSync } from 'node:fs';
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

/** Version of the package. */
export function caissonVersion(): string {
  const text = readFileSync(join(__dirname, '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version; // our own file
}

/** QEMU is asked only once it is needed: it takes some tens of milliseconds to say. */
export function readVersions(config: Config): SystemVersions {
  const manifest = readManifest(config.guestDir);
  let qemu: string | undefined;
  return {
    engine: caissonVersion(),
    gitCommit: process.env['CAISSON_GIT_COMMIT'] ?? '',
    buildTime: statSync(__filename).mtime.toISOString(),
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
