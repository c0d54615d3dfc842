// Pods and VMs as such, which dockerd has nothing of: what taking over a VM saves, and what VMs cost that do nothing.

import { sendHttp } from '../test/support/wire/http-client';
import { median, pssMib, timed, type DockerClient } from './measure';
import type { Row } from './table';

/** VMs that the daemon keeps ready by default. */
const poolSize = 3;
const rounds = 7;
const idleVms = 50;

interface PodBench {
  caisson: DockerClient;
  caissonDaemon: { qemuPids(): number[] };
}

function template(name: string): object {
  return { name, containers: [{ name: 'main', body: { Image: 'busybox', Cmd: ['sleep', '10000'] } }] };
}

async function runPod(client: DockerClient, name: string): Promise<void> {
  await client.post('/v1/pods', template(name));
  await client.post(`/v1/pods/${name}/start`, {});
}

/** A start has the pool filled up behind it, which would be measured with whatever comes next. */
async function untilPoolIsFull(client: DockerClient): Promise<void> {
  const idle = async (): Promise<number> => {
    const vms = JSON.parse(await client.get('/v1/vms')) as { purpose: string }[];
    return vms.filter(({ purpose }) => purpose === 'pool').length;
  };
  while ((await idle()) < poolSize) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** In turns, so that both meet the same load. */
export async function podReplace({ caisson }: PodBench): Promise<Row> {
  const stopAndRun: number[] = [];
  const replace: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await runPod(caisson, 'bench-old');
    await caisson.post('/v1/pods', template('bench-new'));
    await untilPoolIsFull(caisson);
    replace.push(
      await timed(() => caisson.post('/v1/pods/bench-old/replace', { pod: 'bench-new', timeoutSeconds: 0 })),
    );
    await untilPoolIsFull(caisson);
    stopAndRun.push(
      await timed(async () => {
        await caisson.post('/v1/pods/bench-new/stop', { timeoutSeconds: 0 });
        await runPod(caisson, 'bench-next');
      }),
    );
    await caisson.removeAll();
  }
  return {
    name: 'pod replace OLD NEW (beside it, not of dockerd: pod stop + pod run)',
    unit: 'ms',
    docker: median(stopAndRun),
    caisson: median(replace),
    maxRatio: 0.5,
  };
}

export async function vmRun({ caisson }: PodBench): Promise<Row> {
  const taken: number[] = [];
  for (let round = 0; round < rounds; round += 1) taken.push(await timed(() => caisson.post('/v1/vms', {})));
  await removeKept(caisson);
  return { name: 'vm run', unit: 'ms', caisson: median(taken), max: 300 };
}

export async function idleVmsMemory({ caisson, caissonDaemon }: PodBench): Promise<Row> {
  for (let count = 0; count < idleVms; count += 1) await caisson.post('/v1/vms', {});
  const sizes = caissonDaemon.qemuPids().map(pssMib);
  await removeKept(caisson);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return { name: `memory of ${sizes.length} idle VMs (PSS, all)`, unit: 'MiB', caisson: total };
}

async function removeKept(client: DockerClient): Promise<void> {
  const vms = JSON.parse(await client.get('/v1/vms')) as { id: string; purpose: string }[];
  for (const { id } of vms.filter(({ purpose }) => purpose === 'kept')) {
    await sendHttp(client.host, { method: 'DELETE', path: `/v1/vms/${id}` });
  }
}
