// `docker update` on a node that can: the Pod stays, its limits change.

import { startOneDaemon } from './harness/one-daemon';

jest.setTimeout(300_000);

const { docker, image } = startOneDaemon('update');

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
