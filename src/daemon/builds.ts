// BuildKit's part of the daemon: the solver on our storage and VMs, and what clients reach of it.

import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { BuildKit } from '../buildkit/buildkit';
import { collectGarbage } from '../buildkit/garbage';
import type { BuildHost } from '../buildkit/contract/host';
import type { Platform } from '../buildkit/contract/llb';
import type { Entitlement } from '../buildkit/contract/solver';
import type { Frontend } from '../buildkit/contract/frontend';
import { createDockerfileFrontend } from '../buildkit/frontend/frontend';
import { BuildHistory } from '../buildkit/history/history';
import { ClientSessions } from '../buildkit/session/sessions';
import { cacheExportersOf, exporters } from '../buildkit/solver/exporters/exporters';
import { createSolver } from '../buildkit/solver/solver';
import type { Config } from '../config';
import { EngineBuildImages } from '../engine/builds/build-images';
import { buildPlatforms } from '../engine/builds/build-platforms';
import { EngineCacheDisks } from '../engine/builds/cache-disks';
import { StepExecutor } from '../engine/builds/step-executor';
import { StepJournal } from '../engine/builds/step-journal';
import type { Engine } from '../engine/engine';
import { log } from '../log';
import type { Storage } from '../storage/storage';

/** What the cache may have of the disk, as with dockerd. */
const cacheShare = 0.1;
const collectionIntervalMs = 600_000;
/** In the order in which they are asked for. */
const frontends: readonly Frontend[] = [createDockerfileFrontend()];

export interface BuildKitSources {
  config: Config;
  storage: Storage;
  engine: Engine;
  /** The engine's, the same after a restart. */
  engineId: string;
  version: string;
}

/** Gives back what an earlier daemon has left of its steps. `close` ends all builds and resolves when nothing is left of them. */
export async function composeBuildKit({
  config,
  storage,
  engine,
  engineId,
  version,
}: BuildKitSources): Promise<{ buildKit: BuildKit; history: BuildHistory; close: () => Promise<void> }> {
  const journal = new StepJournal(storage.documents, engine.networks);
  await journal.recover();
  const executor = new StepExecutor(engine, journal);
  const host: BuildHost = {
    images: new EngineBuildImages(storage.images, storage.layers),
    contents: storage.images,
    layers: storage.layers,
    executor,
    disks: new EngineCacheDisks(storage.cacheDisks, config.writableDiskBytes, () =>
      engine.adoptions.unusedEnded(),
    ),
    documents: storage.documents,
    temporaryDir: join(config.dataRoot, 'tmp'),
  };
  const { buildKit, history, stop } = buildKitOn(host, {
    dataRoot: config.dataRoot,
    historyDir: join(config.dataRoot, 'build-history'),
    platforms: buildPlatforms(config),
    worker: { id: engineId, version },
    labels: [
      ['org.mobyproject.buildkit.worker.executor', 'qemu'],
      ['org.mobyproject.buildkit.worker.moby.host-gateway-ip', engine.networks.hostGateway],
    ],
    // a step has a VM to itself where it is privileged: that endangers nobody
    granted: ['network.host', 'security.insecure'],
  });
  const close = async (): Promise<void> => {
    stop();
    await executor.close();
  };
  return { buildKit, history, close };
}

export interface BuildKitOptions {
  /** Of whose disk the cache may have a share. */
  dataRoot: string;
  historyDir: string;
  /** Absent: the daemon's own. */
  platforms?: readonly Platform[];
  worker: { id: string; version: string };
  labels: readonly (readonly [string, string])[];
  granted: readonly Entitlement[];
}

/** BuildKit on whatever runs its steps. `stop` ends all builds, and cuts clients off. */
export function buildKitOn(
  host: BuildHost,
  { dataRoot, historyDir, platforms, worker, labels, granted }: BuildKitOptions,
): { buildKit: BuildKit; history: BuildHistory; stop: () => void } {
  const sessions = new ClientSessions();
  const history = new BuildHistory(host.documents, historyDir);
  const buildKit = new BuildKit({
    solver: createSolver(host, sessions, platforms === undefined ? {} : { platforms }),
    frontends,
    exporters: exporters(host, sessions),
    cacheExporters: cacheExportersOf(host, sessions),
    layers: host.layers,
    worker: {
      ...worker,
      labels: new Map([
        ...labels,
        // clients take it for a store that keeps indexes: several platforms, attestations, archives, caches
        ['org.mobyproject.buildkit.worker.snapshotter', 'caisson-squashfs'],
        ['org.mobyproject.buildkit.worker.hostname', hostname()],
      ]),
      dockerfileVersion: '',
    },
    granted: new Set(granted),
    sessions,
    history,
  });
  const stopCollecting = collectNowAndThen(buildKit, dataRoot);
  const stop = (): void => {
    stopCollecting();
    buildKit.close();
  };
  return { buildKit, history, stop };
}

/** Keeps the cache within its share of the disk. Returns what ends that. */
function collectNowAndThen({ records }: BuildKit, dataRoot: string): () => void {
  const abort = new AbortController();
  const collect = async (): Promise<void> => {
    const { blocks, bsize } = await statfs(dataRoot);
    const bytes = await collectGarbage(records, blocks * bsize * cacheShare, abort.signal);
    if (bytes > 0) log.info('the cache of builds was too large', { removedBytes: bytes });
  };
  const timer = setInterval(() => {
    collect().catch((error: unknown) => {
      if (!abort.signal.aborted) log.warn('the cache of builds could not be made smaller', { error });
    });
  }, collectionIntervalMs).unref();
  return () => {
    clearInterval(timer);
    abort.abort();
  };
}
