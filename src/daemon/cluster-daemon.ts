// The daemon in front of a Kubernetes cluster: no VMs, no stores, and no need to be root.

import { join } from 'node:path';
import { Router } from 'express';
import { createApi } from '../api/server';
import { tlsOptions } from '../api/tls';
import { debugRouter } from '../api/debug';
import { startCluster, type Cluster } from '../cluster/cluster';
import { apiSocketPath, type ClusterSettings, type Config } from '../config';
import { log } from '../log';
import { DockerBuilds } from '../semantics/builds/docker-builds';
import { readVersions } from '../versions';
import { buildKitOn } from './builds';
import type { Daemon } from './daemon';
import { writePidFile } from './pid-file';

/** Resolves when the API answers. Rejects with what is wrong; nothing is left running then. */
export async function startClusterDaemon(config: Config, settings: ClusterSettings): Promise<Daemon> {
  const started = Date.now();
  const tls = config.tls === undefined ? undefined : tlsOptions(config.tls);
  const removePidFile = config.pidFile === undefined ? undefined : await writePidFile(config.pidFile);
  const versions = readVersions(config);
  const cluster = await startCluster(config, settings, versions);
  const builder = composeBuilder(cluster, config, settings, versions.engine);
  const preferredBuilder = builder === undefined ? 'classic' : config.preferredBuilder;
  const recordRepliesTo = process.env['CAISSON_RECORD_REPLIES'];
  const api = createApi(
    { ...cluster.backend, ...builder?.backend },
    {
      daemonVersion: versions.engine,
      experimental: config.experimental,
      ...(preferredBuilder === undefined ? {} : { preferredBuilder }),
      debug: debugRouter(
        () => config.debug,
        () => ({}),
      ),
      pods: Router(),
      ...(tls === undefined ? {} : { tls }),
      ...(recordRepliesTo === undefined ? {} : { recordRepliesTo }),
      ...(config.socketGroup === undefined ? {} : { socketGroup: config.socketGroup }),
    },
  );
  const close = async (): Promise<void> => {
    await api.close();
    builder?.stop();
    await cluster.close();
    await removePidFile?.();
  };
  try {
    const addresses = await api.listen(config.hosts);
    const socket = apiSocketPath(addresses) ?? apiSocketPath(await api.listen([ownHost(config)]));
    if (socket !== undefined) cluster.apiListens(socket);
    log.info('ready', { addresses, namespace: settings.namespace, ms: Date.now() - started });
    return {
      addresses,
      close,
      reload: () => log.warn('a daemon in front of a cluster takes nothing over while it runs'),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A unix socket, for containers that have Docker's, where the daemon is to listen on none. */
function ownHost({ runDir }: Config): string {
  return `unix://${join(runDir, 'containers.sock')}`;
}

/** BuildKit, where there is a registry for what it makes. */
function composeBuilder(
  cluster: Cluster,
  { dataRoot }: Config,
  { namespace }: ClusterSettings,
  version: string,
): { backend: { buildKit: DockerBuilds }; stop: () => void } | undefined {
  if (cluster.buildKit === undefined) return undefined;
  const { host, directory } = cluster.buildKit;
  const { buildKit, stop } = buildKitOn(host, {
    dataRoot,
    historyDir: join(directory, 'build-history'),
    worker: { id: `kubernetes-${namespace}`, version },
    labels: [['org.mobyproject.buildkit.worker.executor', 'kubernetes']],
    // as far as the namespace's Pod Security lets a container be privileged
    granted: ['security.insecure'],
  });
  const builds = new DockerBuilds(buildKit);
  cluster.showBuildCache(() => builds.cacheUsage(new AbortController().signal));
  return { backend: { buildKit: builds }, stop };
}
