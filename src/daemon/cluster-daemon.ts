// The daemon in front of a Kubernetes cluster: no VMs, no stores, and no need to be root.

import { Router } from 'express';
import { createApi } from '../api/server';
import { tlsOptions } from '../api/tls';
import { debugRouter } from '../api/debug';
import { startCluster } from '../cluster/cluster';
import type { ClusterSettings, Config } from '../config';
import { log } from '../log';
import { readVersions } from '../versions';
import type { Daemon } from './daemon';
import { writePidFile } from './pid-file';

/** Resolves when the API answers. Rejects with what is wrong; nothing is left running then. */
export async function startClusterDaemon(config: Config, settings: ClusterSettings): Promise<Daemon> {
  const started = Date.now();
  const tls = config.tls === undefined ? undefined : tlsOptions(config.tls);
  const removePidFile = config.pidFile === undefined ? undefined : await writePidFile(config.pidFile);
  const versions = readVersions(config);
  const cluster = await startCluster(config, settings, versions);
  const recordRepliesTo = process.env['CAISSON_RECORD_REPLIES'];
  const api = createApi(cluster.backend, {
    daemonVersion: versions.engine,
    experimental: config.experimental,
    preferredBuilder: 'classic', // there is no other
    debug: debugRouter(
      () => config.debug,
      () => ({}),
    ),
    pods: Router(),
    ...(tls === undefined ? {} : { tls }),
    ...(recordRepliesTo === undefined ? {} : { recordRepliesTo }),
    ...(config.socketGroup === undefined ? {} : { socketGroup: config.socketGroup }),
  });
  const close = async (): Promise<void> => {
    await api.close();
    await cluster.close();
    await removePidFile?.();
  };
  try {
    const addresses = await api.listen(config.hosts);
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
