// daemon/: one process: what it is composed of, its locks and directories, its end.
//
// The composition root: builds storage, network, VMs, engine and API from one configuration, in the order in which
// they need each other, and takes them down in the opposite one.

import { hostname } from 'node:os';
import { join } from 'node:path';
import { Router } from 'express';
import { debugRouter } from '../api/debug';
import { settlesWithin } from '../async/deadline';
import { createApi, type Api } from '../api/server';
import { tlsOptions } from '../api/tls';
import type { Config } from '../config';
import { makeRootDirectories } from './directories';
import { composeBuildKit } from './builds';
import { DockerBuilds } from '../semantics/builds/docker-builds';
import { lockDataRoot, lockRunDir } from './lock';
import { openStartReserve } from './start-reserve';
import { StartTimes } from './start-times';
import { reloadConfig } from './reload';
import { careForRunDir } from './run-dir-care';
import { ContainerRegistry } from '../engine/core/container-registry';
import { recordedRuns, recoverContainers } from '../engine/lifecycle/recovery';
import { Containers } from '../engine/backends/containers';
import { createEngine } from '../engine/backends/create-engine';
import { GuestClocks } from '../engine/vms/guest-clocks';
import { EventHistory } from '../engine/events/event-history';
import { EventBus } from '../semantics/events/events';
import { graphDriverName } from '../engine/system/graph-driver';
import { HealthMonitor } from '../semantics/health/health-monitor';
import { HealthRecords } from '../engine/core/health-records';
import { execProbe } from '../engine/sessions/health-probe';
import { EngineImageBackend } from '../engine/backends/images';
import { ImageBuilds } from '../engine/images/build';
import { ContainerLogStore } from '../engine/logs/container-log-store';
import { EngineNetworkBackend } from '../engine/backends/networks';
import { PodDirectory } from '../engine/pods/directory';
import { PodRecords } from '../engine/core/pod-record';
import { EnginePods } from '../engine/pods/pod-service';
import { EngineSystemBackend } from '../engine/backends/system';
import { EngineVms } from '../engine/pods/vm-service';
import { EngineVolumeBackend } from '../engine/backends/volumes';
import { DaemonError } from '../errors';
import { log } from '../log';
import type { Metrics } from './metrics';
import { createNetworkManager } from '../network/network-manager';
import { writePidFile } from './pid-file';
import type { DaemonHelpers } from './web-page';
import { PlayService } from '../play/play-service';
import { playRouter } from '../api/v1/play-router';
import { podsRouter } from '../api/v1/router';
import { missingPrivilege } from '../host/privileges';
import { netdUid, takeVmUsers } from './vm-users';
import { createStorage } from '../storage/storage';
import { readVersions } from '../versions';
import { vmGid } from '../vm/qemu/launch';
import { liveVmRecords } from '../vm/host/vm-record';
import { createVmPool, type PooledVms } from '../vm/pool/vm-pool';

export interface Daemon {
  /** Where it listens, with real ports. */
  addresses: string[];
  /**
   * Takes no more requests and lets go of everything. Containers go on: their VMs belong to themselves, and the next
   * daemon on the same directories takes them over.
   */
  close(): Promise<void>;
  /** Takes over what of `next` may change while it runs. */
  reload(next: Config): void;
}

/** What the start waits at most for the truth about what an earlier daemon has left. */
const recoveryGraceMs = 500;

/** Steps of the way down, in the order of the way up. */
type Undo = (() => unknown)[];

type Ground = Awaited<ReturnType<typeof composeStorage>>;
type EngineParts = Awaited<ReturnType<typeof composeEngine>>;

/** Resolves when the API answers; VMs of an earlier daemon are still being asked then. Rejects with what is wrong; nothing is left running then. */
export async function startDaemon(config: Config, helpers: DaemonHelpers = {}): Promise<Daemon> {
  const times = new StartTimes();
  const missing = missingPrivilege(config.vmUidBase);
  if (missing !== undefined)
    throw new DaemonError(
      'Forbidden',
      `the daemon needs to run as root, and is ${missing} (see: caisson doctor)`,
    );
  await takeVmUsers(config);
  await makeRootDirectories(config);
  const holdReserve = await openStartReserve(config.dataRoot);
  const undo: Undo = [holdReserve, await lockDataRoot(config.dataRoot)];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        log.error('a step of the shutdown failed', { error });
      }
    }
  };
  try {
    undo.push(await lockRunDir(config));
    if (config.pidFile !== undefined) undo.push(await writePidFile(config.pidFile));
    // Before anything is started: a certificate that can't be read is a mistake in the command line.
    const tls = config.tls === undefined ? undefined : tlsOptions(config.tls);
    times.done('locks');
    const ground = await composeStorage(config, undo, times);
    const engine = await composeEngine(config, ground, undo, times);
    const api = await composeApi(config, ground, engine, tls, undo);
    const addresses = await api.listen(config.hosts);
    times.done('api');
    if (config.web !== undefined) {
      const { serveWebPage } = await import('./web-page.js'); // the API need not wait for that
      undo.push(await serveWebPage(config, config.web, engine, api, helpers));
      times.done('page');
    }
    log.info('ready', { addresses, ...times.summary() });
    return {
      addresses,
      close,
      reload: (next) => reloadConfig(config, next, engine.events, engine.system.id),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the engine stands on: disks and records, the network, VMs. */
async function composeStorage(config: Config, undo: Undo, times: StartTimes) {
  const storage = await createStorage(config, vmGid(config.vmUidBase));
  times.done('storage');
  undo.push(() => storage.documents.close());
  const networks = createNetworkManager({
    runDir: config.runDir,
    documents: storage.documents,
    nativeDir: config.nativeDir,
    helperUid: netdUid(config),
    defaults: config.networkDefaults,
    namespaceHolders: async () =>
      (await liveVmRecords(join(config.runDir, 'vms'))).map(({ process }) => process.pid),
  });
  await networks.start();
  times.done('networks');
  const mendable: { vms?: PooledVms; api?: Api | undefined } = {};
  const runDirCare = careForRunDir({
    runDir: config.runDir,
    vmGid: vmGid(config.vmUidBase),
    mend: [
      async () => ((await networks.ensureNamespace()) ? [networks.namespacePath] : []),
      async () => (await mendable.vms?.keepRecords()) ?? [],
      async () => (await mendable.api?.mendSockets()) ?? [],
    ],
  });
  const vms = await createVmPool(config, networks.namespacePath, runDirCare.check);
  mendable.vms = vms;
  times.done('pool');
  undo.push(() => networks.stop({ removeNamespace: vms.list().length + vms.unanswered.length === 0 }));
  undo.push(() => vms.close({ endIdle: true }));
  undo.push(runDirCare.close);
  return { storage, networks, vms, mendable };
}

/** What Docker's verbs and Pods' work on, with what an earlier daemon has left taken over. */
async function composeEngine(
  config: Config,
  { storage, networks, vms }: Ground,
  undo: Undo,
  times: StartTimes,
) {
  const { documents, images, layers } = storage;
  const registry = new ContainerRegistry(documents);
  registry.load();
  const events = new EventBus(new EventHistory(join(config.dataRoot, 'events.ndjson')));
  undo.push(() => events.close());
  const logs = new ContainerLogStore(config.dataRoot, config.nativeDir);
  const health = new HealthMonitor(registry, events, new HealthRecords(documents));
  const { engine, execs, stats } = createEngine({
    config,
    registry,
    events,
    logs,
    images,
    layers,
    disks: storage.writableDisks,
    networks,
    vms,
    volumes: storage.volumes,
  });
  const containers = new Containers({ engine, logs, health, stats });
  const volumes = new EngineVolumeBackend({ volumes: storage.volumes, registry, events });
  const versions = readVersions(config);
  const system = new EngineSystemBackend({
    config,
    versions,
    registry,
    images,
    layers,
    vms,
    events,
    containers,
    volumes,
    builds: { cacheUsage: (signal) => buildKit.cacheUsage(signal) },
  });
  const records = new PodRecords(documents);
  const directory = new PodDirectory(registry, records);
  const pods = new EnginePods({ engine, stats, records, directory });
  times.done('engine');
  const found = await vms.recover((vmId) => recordedRuns(engine, vmId).length > 0);
  const { over } = await recoverContainers(engine, found);
  void over.then(() => log.info('every record is true', { vms: found.vms.length }));
  pods.recover();
  // VMs answer within a moment, but on a busy host: mostly a client's first look finds all as it is.
  times.done('VMs');
  await settlesWithin(over, recoveryGraceMs);
  times.done('records');
  undo.push(execs.startSweeping());
  undo.push(new GuestClocks(() => engine.pods.list()).start());
  undo.push(() => engine.background.settled());
  undo.push(() => engine.fileHolders.releaseAll());
  undo.push(() => engine.hostNetworks.stopAll());
  undo.push(() => engine.restarts.cancelAll());
  const probe = execProbe(engine, execs);
  health.start(probe, (container) => engine.adoptions.whenSettled(container));
  undo.push(() => health.close());
  vms.start();

  const builds = new ImageBuilds({
    engine,
    images,
    layers,
    dataRoot: config.dataRoot,
    engineVersion: versions.engine,
    experimental: config.experimental,
  });
  const composed = await composeBuildKit({
    config,
    storage,
    engine,
    engineId: system.id,
    version: versions.engine,
  });
  const buildKit = new DockerBuilds(composed.buildKit);
  undo.push(composed.close);
  return {
    registry,
    events,
    health,
    probe,
    containers,
    execs,
    volumes,
    networkBackend: new EngineNetworkBackend(engine),
    images: new EngineImageBackend({ images, layers, registry, events }),
    builds,
    buildKit,
    buildHistory: composed.history,
    system,
    versions,
    pods,
    podVms: new EngineVms(vms, directory),
  };
}

/** What clients reach: Docker's API, Caisson's own, manifests that are played, and metrics. */
async function composeApi(
  config: Config,
  { storage, networks, vms, mendable }: Ground,
  engine: EngineParts,
  tls: ReturnType<typeof tlsOptions> | undefined,
  undo: Undo,
): Promise<Api> {
  const { registry, events, probe, containers, images, volumes, system, versions, pods, podVms } = engine;
  const podsBackend = {
    pods,
    vms: podVms,
    info: () => ({ version: versions.engine, ...podVms.facts(), pods: pods.counts() }),
  };
  const plays = new PlayService({
    pods,
    containers,
    images,
    volumes,
    documents: storage.documents,
    exec: (containerId, command, signal) => probe(registry.get(containerId), command, signal),
    whenKnown: (name) => pods.whenKnown(name),
    probe: (wanted) => networks.probe(wanted),
    nodeName: hostname(),
  });
  await plays.recover();
  undo.push(() => plays.close());
  const metrics =
    config.metricsAddress === undefined ? undefined : await measure(config.metricsAddress, engine, vms, undo);
  const recordRepliesTo = process.env['CAISSON_RECORD_REPLIES'];
  const { execs: exec, builds, buildKit, networkBackend } = engine;
  const backend = { containers, exec, images, builds, buildKit, system, networks: networkBackend, volumes };
  const api = createApi(backend, {
    daemonVersion: versions.engine,
    experimental: config.experimental,
    ...(config.preferredBuilder === undefined ? {} : { preferredBuilder: config.preferredBuilder }),
    ...(metrics === undefined
      ? {}
      : {
          onRequest: (request, response) => {
            metrics.onRequest(request, response);
          },
        }),
    debug: debugRouter(
      () => config.debug,
      () => ({ containers: system.containerCounts(), vms: vms.status(), events: events.publishedCount }),
    ),
    pods: Router().use(playRouter(plays), podsRouter(podsBackend)),
    ...(tls === undefined ? {} : { tls }),
    ...(recordRepliesTo === undefined ? {} : { recordRepliesTo }),
    ...(config.socketGroup === undefined ? {} : { socketGroup: config.socketGroup }),
  });
  undo.push(() => {
    mendable.api = undefined;
    return api.close();
  });
  mendable.api = api;
  return api;
}

/** Metrics, served at an address of their own. They cost memory and time with each request, so where nobody asks there are none. */
async function measure(
  address: string,
  { versions, system, events, health }: EngineParts,
  vms: PooledVms,
  undo: Undo,
): Promise<Metrics> {
  const { createMetrics, serveMetrics } = await import('./metrics.js');
  const metrics = createMetrics({
    versions,
    engineId: system.id,
    graphDriver: graphDriverName,
    containers: () => system.containerCounts(),
    vms: () => vms.status(),
    events: () => ({ published: events.publishedCount, listeners: events.listenerCount }),
    healthChecks: () => health.counts,
  });
  const { close } = await serveMetrics(address, metrics);
  undo.push(close);
  return metrics;
}
