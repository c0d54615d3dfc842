// Memory of a container whose limit goes down and up again: what its processes and caches have inside, and QEMU on the host.

import type { CaissonDaemon } from '../test/support/engines/caisson-daemon';
import { type DockerClient, pssMib, smallest } from './measure';
import type { Row } from './table';

const name = 'bench-memory';
/** Of the file that fills the cache. */
const fileMib = 1024;

interface MemoryBench {
  caisson: DockerClient;
  caissonDaemon: CaissonDaemon;
}

/** MiB. */
interface Sizes {
  inside: number;
  host: number;
}

let measured: Promise<Record<'full' | 'down' | 'up', Sizes>> | undefined;

/** Both sizes at a point of the one run that all rows come from: the cache full, after the limit went down, full again. */
export function memoryRow(
  bench: MemoryBench,
  when: 'full' | 'down' | 'up',
  where: keyof Sizes,
): Promise<Row> {
  measured ??= measure(bench);
  const at = {
    full: 'with 1 GiB of file cache',
    down: 'after update -m 256m',
    up: 'full again after update -m 2g',
  };
  const what = where === 'host' ? 'memory of its QEMU (PSS)' : 'memory of a container, inside';
  return measured.then((sizes) => ({
    name: `${what}, ${at[when]}`,
    unit: 'MiB',
    caisson: sizes[when][where],
  }));
}

async function measure({
  caisson,
  caissonDaemon,
}: MemoryBench): Promise<Record<'full' | 'down' | 'up', Sizes>> {
  caisson.run('run', '-d', '--name', name, '-m', '2g', '--memory-swap', '2g', 'busybox', 'sleep', '10000');
  const fill = (): void => {
    caisson.run('exec', name, 'dd', 'if=/dev/zero', 'of=/file', 'bs=1M', `count=${fileMib}`);
    caisson.run('exec', name, 'sync');
  };
  fill();
  const pid = largest(caissonDaemon.qemuPids());
  const sizes = async (): Promise<Sizes> => ({
    inside: insideMib(caisson),
    host: await smallest(() => pssMib(pid)),
  });
  const full = await sizes();
  caisson.run('update', '-m', '256m', '--memory-swap', '256m', name);
  const down = await sizes();
  caisson.run('update', '-m', '2g', '--memory-swap', '2g', name);
  fill();
  const up = await sizes();
  await caisson.removeAll();
  return { full, down, up };
}

function insideMib(client: DockerClient): number {
  return Number(client.output('exec', name, 'cat', '/sys/fs/cgroup/memory.current')) / 2 ** 20;
}

function largest(pids: readonly number[]): number {
  return [...pids].sort((a, b) => pssMib(b) - pssMib(a))[0] ?? Number.NaN;
}
