// A real dockerd (Debian's docker.io) with a data root of its own: what the compatibility tests compare with.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { type GuardedProcess, startGuarded, waitReady } from '../process/guarded-process';
import { pings } from '../wire/http-client';
import type { NetworkNamespace } from '../network/network-namespace';

export interface Engine {
  readonly name: 'dockerd' | 'caisson';
  /** `unix://…` */
  readonly host: string;
  readonly process: GuardedProcess;
}

/** Starts dockerd inside the namespace; its bridges and rules stay there. `dir` takes data, sockets and log. */
export async function startOracle(
  dir: string,
  namespace: Pick<NetworkNamespace, 'wrap'>,
  detached = false,
): Promise<Engine> {
  mkdirSync(dir, { recursive: true });
  const host = `unix://${dir}/docker.sock`;
  const child = await startGuarded(
    namespace.wrap([
      // its own mounts, with shared propagation for rshared and rslave binds
      ...['unshare', '--mount', '--propagation', 'shared', 'dockerd'],
      ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec')],
      ...['--pidfile', join(dir, 'pid'), '--host', host],
    ]),
    { logPath: join(dir, 'dockerd.log'), detached },
  );
  await waitReady(child, () => pings(host));
  return { name: 'dockerd', host, process: child };
}
