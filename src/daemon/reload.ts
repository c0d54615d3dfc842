// A reload of the configuration while the daemon runs (SIGHUP): what may change then, and the event that tells of it.

import { hostname } from 'node:os';
import type { Config, LiveConfig } from '../config';
import type { EventPublisher } from '../semantics/events/event-publisher';
import { log, setLogLevel } from '../log';

/** Each member of LiveConfig, so that none is forgotten. */
const liveKeys: Record<keyof LiveConfig, true> = {
  debug: true,
  logLevel: true,
  labels: true,
  insecureRegistries: true,
  registryMirrors: true,
  maxConcurrentDownloads: true,
  maxConcurrentUploads: true,
  maxDownloadAttempts: true,
  shutdownTimeoutSeconds: true,
  defaultShmBytes: true,
};

/** Takes the live part of `next` over into `config`, and says which of the others want a restart. */
export function reloadConfig(config: Config, next: Config, events: EventPublisher, engineId: string): void {
  const live = config as LiveConfig; // the one place that may write it
  Object.assign(
    live,
    Object.fromEntries(Object.keys(liveKeys).map((key) => [key, next[key as keyof LiveConfig]])),
  );
  setLogLevel(config.logLevel);
  const waiting = (Object.keys(next) as (keyof Config)[]).filter(
    // The range of users is the data root's, and no setting.
    (key) =>
      !(key in liveKeys) && key !== 'vmUidBase' && JSON.stringify(next[key]) !== JSON.stringify(config[key]),
  );
  if (waiting.length > 0)
    log.warn('these take effect when the daemon is started again', { settings: waiting });
  log.info('configuration reloaded');
  events.publish('daemon', 'reload', engineId, reloadAttributes(config));
}

/** dockerd's attributes, as far as they have a value here. */
function reloadAttributes(config: Config): Record<string, string> {
  return {
    name: hostname(),
    debug: String(config.debug),
    'insecure-registries': JSON.stringify(config.insecureRegistries),
    labels: JSON.stringify(config.labels),
    'live-restore': 'true',
    'max-concurrent-downloads': String(config.maxConcurrentDownloads),
    'max-concurrent-uploads': String(config.maxConcurrentUploads),
    'max-download-attempts': String(config.maxDownloadAttempts),
    'registry-mirrors': JSON.stringify(config.registryMirrors),
    'default-runtime': 'runc',
    'default-shm-size': String(config.defaultShmBytes),
    'shutdown-timeout': String(config.shutdownTimeoutSeconds),
  };
}
