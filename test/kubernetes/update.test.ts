// `docker update` on a node that can: the Pod stays, its limits change.

import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';

import { ClusterDaemon } from '../support/cluster/cluster-daemon';
import { findDockerClis } from '../support/engines/docker-cli';
import { makeScratchDir } from '../support/process/scratch-dir';
import { TestCluster, registryHost } from './harness/test-cluster';

jest.setTimeout(300_000);

const cluster = TestCluster.current();
const cli = findDockerClis()[0]?.path ?? 'docker';
const image = `${registryHost}/busybox`;
const dir = makeScratchDir('update');
const namespace = `update-${process.pid}`;
let daemon: ClusterDaemon;

beforeAll(async () => {
  daemon = await ClusterDaemon.start({ cluster, namespace, dir });
  await docker('pull', '--quiet', image);
});

afterAll(async () => {
  await daemon.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Stdout. Rejects with stderr where it fails. */
async function docker(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(cli, ['--host', daemon.host, ...args]);
  return stdout.trimEnd();
}

it('gives a container that runs other limits, of which its processes know', async () => {
  const limits = ['--memory', '64m', '--memory-swap', '64m', '--cpus', '0.5'];
  const id = await docker('run', '--detach', '--name', 'grows', ...limits, image, 'sleep', '1000');
  const group = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true';
  expect(await docker('exec', 'grows', 'sh', '-c', group)).toBe(String(64 * 2 ** 20));
  await docker('update', '--memory', '128m', '--memory-swap', '128m', '--cpus', '1', 'grows');
  expect(await docker('exec', 'grows', 'sh', '-c', group)).toBe(String(128 * 2 ** 20));
  const format =
    '{{.Id}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.State.Running}} {{.RestartCount}}';
  expect(await docker('inspect', '--format', format, 'grows')).toBe(
    `${id} ${128 * 2 ** 20} 1000000000 true 0`,
  );
  await docker('rm', '--force', 'grows');
});
