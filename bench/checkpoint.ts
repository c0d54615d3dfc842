// Checkpoints of a container: the first of a VM's memory, a later one, and starts from it. dockerd has none without CRIU.

import { type DockerClient, medians, timed } from './measure';
import type { Row } from './table';

const name = 'bench-checkpoint';
const times = 3;

async function withContainer(client: DockerClient, work: () => Promise<number>): Promise<number> {
  client.run('run', '-d', '--name', name, 'busybox', 'sleep', '1000');
  try {
    return await work();
  } finally {
    await client.removeAll();
  }
}

function save(client: DockerClient): void {
  client.run('checkpoint', 'create', '--leave-running', name, 'saved');
}

/** The host's cache may hold the template's memory, which is what the first one of a host waits for. */
export async function firstCheckpoint({ caisson }: { caisson: DockerClient }): Promise<Row> {
  const taken = await withContainer(caisson, () => timed(() => save(caisson)));
  return { name: 'checkpoint create, the first', unit: 'ms', caisson: taken };
}

export async function laterCheckpoint({ caisson }: { caisson: DockerClient }): Promise<Row> {
  const taken = await medians([caisson], {
    times,
    prepare: (client) => client.run('run', '-d', '--name', name, 'busybox', 'sleep', '1000'),
    step: save,
    between: (client) => client.run('checkpoint', 'rm', name, 'saved'),
  });
  return { name: 'checkpoint create, later ones', unit: 'ms', caisson: taken[0] ?? Number.NaN };
}

export async function startFromCheckpoint({ caisson }: { caisson: DockerClient }): Promise<Row> {
  const taken = await medians([caisson], {
    times,
    prepare: (client) => {
      client.run('run', '-d', '--name', name, 'busybox', 'sleep', '1000');
      client.run('checkpoint', 'create', name, 'saved');
    },
    step: (client) => client.run('start', '--checkpoint', 'saved', name),
    between: (client) => client.run('kill', name),
  });
  return { name: 'start from a checkpoint', unit: 'ms', caisson: taken[0] ?? Number.NaN };
}
