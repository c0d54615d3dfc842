// Where measurements run: a scratch directory, and a network namespace with a registry, dockerd and Caisson daemons in it.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { CaissonDaemon } from '../test/support/engines/caisson-daemon';
import { NetworkNamespace } from '../test/support/network/network-namespace';
import { startOracle, type Engine } from '../test/support/engines/oracle';
import { startRegistry } from '../test/support/images/registry-process';
import { makeScratchDir } from '../test/support/process/scratch-dir';
import { ensureTestImages, registryPort } from '../test/support/images/test-images';

export interface Lab {
  /** Scratch. */
  dir: string;
  namespace: NetworkNamespace;
  oracle: Engine;
  /** Does it when the work is done, the last one told first. */
  atEnd: (stop: () => Promise<void>) => void;
  /** Starts a daemon that ends with the laboratory. `name`: its directory in `dir`. */
  startCaisson: (name: string, args: readonly string[]) => Promise<CaissonDaemon>;
}

/** Does `work`, ends all that was started for it, and prints what failed; the program exits with 1 then. */
export function runInLab(work: (lab: Lab) => Promise<void>): void {
  void withLab(work).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  });
}

async function withLab(work: (lab: Lab) => Promise<void>): Promise<void> {
  const stops: (() => unknown)[] = [];
  try {
    const seed = await ensureTestImages();
    const dir = makeScratchDir('bench');
    stops.push(() => rmSync(dir, { recursive: true, force: true }));
    const namespace = await NetworkNamespace.create();
    stops.push(() => namespace.delete());
    mkdirSync(join(dir, 'r'));
    const registry = await startRegistry({ dir: join(dir, 'r'), namespace, port: registryPort, seed });
    stops.push(() => registry.stop());
    const oracle = await startOracle(join(dir, 'd'), namespace);
    stops.push(() => oracle.process.stop());
    const startCaisson = async (name: string, args: readonly string[]): Promise<CaissonDaemon> => {
      const daemon = await CaissonDaemon.start({ dir: join(dir, name), namespace, args: [...args] });
      stops.push(() => daemon.stop());
      return daemon;
    };
    const atEnd = (stop: () => Promise<void>): void => {
      stops.push(stop);
    };
    await work({ dir, namespace, oracle, atEnd, startCaisson });
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}
