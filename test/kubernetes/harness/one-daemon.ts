// A daemon for all tests of a file, in a namespace of its own, and a docker command that speaks to it; with an image.

import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../../support/cluster/cluster-daemon';
import { findDockerClis } from '../../support/engines/docker-cli';
import { makeScratchDir } from '../../support/process/scratch-dir';
import { TestCluster, registryHost } from './test-cluster';

export interface OneDaemon {
  /** In tests. */
  readonly daemon: ClusterDaemon;
  readonly namespace: string;
  readonly image: string;
  /** Stdout. Rejects with stderr where it fails. */
  docker(...args: string[]): Promise<string>;
}

/** At the top of a file: `name` is its namespace's. */
export function startOneDaemon(name: string): OneDaemon {
  const cli = findDockerClis()[0]?.path ?? 'docker';
  const image = `${registryHost}/busybox`;
  const namespace = `${name}-${process.pid}`;
  const dir = makeScratchDir(name);
  let started: ClusterDaemon | undefined;
  const one: OneDaemon = {
    get daemon() {
      if (started === undefined) throw new Error('the daemon has not started');
      return started;
    },
    namespace,
    image,
    async docker(...args) {
      const { stdout } = await promisify(execFile)(cli, ['--host', one.daemon.host, ...args]);
      return stdout.trimEnd();
    },
  };
  beforeAll(async () => {
    started = await ClusterDaemon.start({ cluster: TestCluster.current(), namespace, dir });
    await one.docker('pull', '--quiet', image);
  });
  afterAll(async () => {
    await started?.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  return one;
}
