// What this daemon is made of, for `version` and `info`.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { advertisedApiVersion, minimumApiVersion } from './api/v1.41/api-version';
import type { Config } from './config';
import type { SystemVersions } from './engine/system/system-info';

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
