// A Caisson of a test file's own, for what must not happen to the one that the cases share: kills, crashes, counting.

import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

import { CaissonDaemon } from '../../support/engines/caisson-daemon';
import { NetworkNamespace } from '../../support/network/network-namespace';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { registryHost } from '../../support/images/test-images';
import { recordedReplyErrors } from '../../support/wire/wire-replies';
import { compatEnvironment } from './environment';

export class OwnDaemon {
  #daemon: CaissonDaemon | undefined;

  get daemon(): CaissonDaemon {
    if (this.#daemon === undefined) throw new Error('not started yet');
    return this.#daemon;
  }

  async start(args: readonly string[] = []): Promise<void> {
    const namespace = NetworkNamespace.existing(compatEnvironment().namespacePid);
    const dir = makeScratchDir('own');
    this.#daemon = await CaissonDaemon.start({ dir, namespace, args, recordsReplies: true });
  }

  /** Throws if any of its answers was not as declared. */
  async stop(): Promise<void> {
    if (this.#daemon === undefined) return;
    await this.#daemon.stop();
    const errors = recordedReplyErrors(this.#daemon.repliesPath);
    rmSync(this.#daemon.dir, { recursive: true, force: true });
    expect(errors).toEqual([]);
  }

  /** stdout of a docker command; throws with its stderr if it fails. */
  docker(...args: string[]): string {
    return execFileSync('/usr/bin/docker', ['--host', this.daemon.host, ...args], {
      encoding: 'utf8',
      timeout: 300_000,
      killSignal: 'SIGKILL', // `docker run` hands a SIGTERM on to its container
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** Like docker(), for commands that may fail. */
  tryDocker(...args: string[]): { exitCode: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync('/usr/bin/docker', ['--host', this.daemon.host, ...args], {
      encoding: 'utf8',
      timeout: 300_000,
      killSignal: 'SIGKILL', // `docker run` hands a SIGTERM on to its container
    });
    return { exitCode: status, stdout, stderr };
  }

  pull(image: string): void {
    this.docker('pull', '--quiet', `${registryHost}/${image}`);
    this.docker('tag', `${registryHost}/${image}`, image);
  }
}

/** A describe block with a daemon of its own; left out when the run is about dockerd alone. */
export function describeWithOwnDaemon(
  name: string,
  options: { images: readonly string[]; args?: readonly string[] },
  body: (own: OwnDaemon) => void,
): void {
  const block = compatEnvironment().target === 'dockerd' ? describe.skip : describe;
  block(name, () => {
    const own = new OwnDaemon();
    beforeAll(async () => {
      await own.start(options.args);
      for (const image of options.images) own.pull(image);
    }, 600_000);
    afterAll(() => own.stop(), 600_000);
    body(own);
  });
}

/** Polls until `condition` gives something, which it returns. Throws with `what` after the deadline. */
export async function eventually<T>(
  what: string | (() => string),
  condition: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 120_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline)
      throw new Error(`did not happen in time: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
