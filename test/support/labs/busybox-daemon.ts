// A Caisson with busybox in a network of its own, for a file of integration tests.

import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

import { CaissonDaemon, type CaissonOptions } from '../engines/caisson-daemon';
import { NetworkNamespace } from '../network/network-namespace';
import { makeScratchDir } from '../process/scratch-dir';
import { makeBusyboxArchive } from '../images/test-images';
import { recordedReplyErrors } from '../wire/wire-replies';

/** For one command: minutes on a machine with ten times its load, so that what takes longer hangs. */
const commandTimeoutMs = 300_000;

export interface BusyboxDaemon {
  /** Takes the daemon's own directories, and the test's files. */
  readonly dir: string;
  readonly daemon: CaissonDaemon;
  /** stdout of a docker command, trimmed; throws if it fails. */
  docker: (...args: string[]) => string;
  /** stderr, trimmed, of a docker command that must fail. */
  refusal: (...args: string[]) => string;
}

/**
 * Starts the daemon before the file's tests, and after them removes all of it and fails if any of its answers was not as
 * declared. `args` come after those of every such daemon.
 */
export function useBusyboxDaemon(
  name: string,
  args: readonly string[] = [],
  more: Pick<CaissonOptions, 'maxDescriptors' | 'ownTemplate'> = {},
): BusyboxDaemon {
  let started: { dir: string; namespace: NetworkNamespace; daemon: CaissonDaemon } | undefined;
  const running = (): NonNullable<typeof started> => {
    if (started === undefined) throw new Error('not started yet');
    return started;
  };
  const host = (): string[] => ['--host', running().daemon.host];
  const engine: BusyboxDaemon = {
    get dir() {
      return running().dir;
    },
    get daemon() {
      return running().daemon;
    },
    docker: (...command) =>
      execFileSync('docker', [...host(), ...command], {
        encoding: 'utf8',
        stdio: 'pipe',
        timeout: commandTimeoutMs,
        killSignal: 'SIGKILL',
      }).trim(),
    refusal: (...command) => {
      const { status, stderr } = spawnSync('docker', [...host(), ...command], {
        encoding: 'utf8',
        timeout: commandTimeoutMs,
        killSignal: 'SIGKILL',
      });
      expect(status).not.toBe(0);
      return stderr.trim();
    },
  };

  beforeAll(async () => {
    const dir = makeScratchDir(name);
    const namespace = await NetworkNamespace.create();
    const daemon = await CaissonDaemon.start({
      dir,
      namespace,
      recordsReplies: true,
      ...more,
      args: ['--accel', 'tcg', '--pool-size', '0', ...args],
    });
    started = { dir, namespace, daemon };
    engine.docker('load', '--input', makeBusyboxArchive(dir, 'busybox:latest'));
  }, 180_000);

  afterAll(async () => {
    const { dir, namespace, daemon } = running();
    await daemon.stop();
    const errors = recordedReplyErrors(daemon.repliesPath);
    await namespace.delete();
    rmSync(dir, { recursive: true, force: true });
    expect(errors).toEqual([]);
  }, 180_000);

  return engine;
}
