import type { ApiClient } from '../../../../src/cli/client/api-client';
import { topLines } from '../../../../src/cli/client/top';
import { TopSampler } from '../../../../src/cli/client/top-samples';
import { paletteOf } from '../../../../src/cli/terminal/style';

let now = 0;
const plain = paletteOf({ isTTY: false });

/** Two VMs, one with two containers: the second of them is the busier one. */
function client(): ApiClient {
  let look = 0;
  const container = (id: string, dockerName: string) => ({ id, dockerName, image: 'img', status: 'running' });
  const replies: Record<string, () => unknown> = {
    '/v1/info': () => ({ version: '1.2.3', accelerator: { kind: 'tcg' } }),
    '/v1/vms': () => [
      { id: 'vm1', state: 'Idle', purpose: 'pool', memoryBytes: 2 ** 33, cpus: 2, pid: 1 },
      {
        id: 'vm2',
        state: 'Associated',
        purpose: 'pod',
        podName: 'web\u001b[2J',
        memoryBytes: 2 ** 33,
        cpus: 2,
        pid: 1,
      },
    ],
    '/v1/pods': () => [
      { name: 'web', vmId: 'vm2', containers: [container('a', 'calm'), container('b', 'busy')] },
      { name: 'old', containers: [container('c', 'old')] },
    ],
    '/containers/a/stats': () => stats(0),
    '/containers/b/stats': () => stats((look += 1) * 1e9),
  };
  const stats = (cpu: number) => ({
    cpu_stats: { cpu_usage: { total_usage: cpu } },
    memory_stats: { usage: 3 * 2 ** 20, limit: 64 * 2 ** 20, stats: { inactive_file: 2 ** 20 } },
    pids_stats: { current: 4 },
  });
  const fake = {
    host: 'tcp://elsewhere:2375',
    call: (_method: string, path: string) => Promise.resolve(replies[path]?.()),
  };
  return fake as unknown as ApiClient; // of which only these are asked
}

it('shows the busiest first, containers under their VM, and nothing that drives the terminal', async () => {
  const sampler = new TopSampler(client(), () => (now += 500));
  await sampler.look();
  const [head, , titles, ...rows] = topLines(await sampler.look(), 'cpu', plain);
  expect(head).toContain('caisson 1.2.3 (tcg)   VMs: 2, 1 idle   containers: 2 on VMs, 1 on none');
  expect(titles).toMatch(/^VM \/ CONTAINER +STATE +CPU % +MEMORY +OF +PIDS +POD \/ IMAGE/);
  expect(rows.map((row) => row.trim().split(' ')[0])).toEqual(['vm1', 'vm2', 'busy', 'calm']);
  expect(rows[1]).toContain('web?[2J');
  expect(rows[2]).toMatch(/busy +running +\d+\.\d +2MiB +64MiB +4 +img/);
  expect(rows[3]).toMatch(/calm +running +0\.0 /);
});

it('knows nothing of the processes of another machine', async () => {
  const sampler = new TopSampler(client());
  const { vms } = await sampler.look();
  expect(vms[0]).toMatchObject({ cpuPercent: undefined, memoryBytes: undefined });
});
