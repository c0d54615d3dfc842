// An engine that was installed from a package, and that a test of packages has started: whoever runs the tests has put them into its
// network. It is used, and left as it was.

import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

import { makeBusyboxArchive } from '../images/test-images';
import { makeScratchDir } from '../process/scratch-dir';
import type { BusyboxDaemon } from './busybox-daemon';

/** What the page is of: a daemon of the test's own, or what a package has installed (CAISSON_INSTALLED_HOST and _ADDRESS). */
export interface PageEngine extends BusyboxDaemon {
  /** `command`, to be executed where the page and the containers' ports are. */
  wrap: (command: readonly string[]) => string[];
  /** With the token that is good now. */
  address: () => string;
}

/** `host`: of its API. `address`: of its page, with the token, as `caisson up` has printed it. */
export function useInstalledEngine(name: string, host: string, address: string): PageEngine {
  let dir = '';
  const docker = (...command: string[]): string =>
    execFileSync('docker', ['--host', host, ...command], { encoding: 'utf8', stdio: 'pipe' }).trim();
  const ids = (...command: string[]): string[] =>
    docker(...command, '--quiet')
      .split('\n')
      .filter((id) => id !== '');

  beforeAll(() => {
    dir = makeScratchDir(name);
    docker('load', '--input', makeBusyboxArchive(dir, 'busybox:latest'));
    // the first container that up has run; here the person begins with nothing
    docker('rmi', 'caisson/hello');
  }, 180_000);

  afterAll(() => {
    for (const id of ids('ps', '--all')) docker('rm', '--force', '--volumes', id);
    for (const id of ids('images')) docker('rmi', '--force', id);
    for (const volume of ids('volume', 'ls')) docker('volume', 'rm', volume);
    rmSync(dir, { recursive: true, force: true });
  }, 180_000);

  return {
    get dir() {
      return dir;
    },
    docker,
    refusal: (...command) => {
      const { status, stderr } = spawnSync('docker', ['--host', host, ...command], { encoding: 'utf8' });
      expect(status).not.toBe(0);
      return stderr.trim();
    },
    get daemon(): never {
      throw new Error('an installed engine is not ours to start or end');
    },
    wrap: (command) => [...command],
    address: () => address,
  };
}
