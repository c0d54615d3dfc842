// Objects of one kind, followed for as long as the daemon lives: over broken connections and expired versions.

import { makeInformer, type KubernetesListObject, type KubernetesObject } from '@kubernetes/client-node';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import type { ClusterApi } from './cluster-api';

const firstPauseMs = 100;
const longestPauseMs = 5_000;

export interface Told<Watched> {
  changed(object: Watched): void;
  /** As it was known last. */
  removed(object: Watched): void;
}

export interface Watcher {
  close(): Promise<void>;
}

/** Resolves when all that there is was told of; until then it waits for a cluster that doesn't answer. */
export async function watchObjects<Watched extends KubernetesObject>(
  api: ClusterApi,
  path: string,
  list: () => Promise<KubernetesListObject<Watched>>,
  told: Told<Watched>,
  labelSelector?: string,
): Promise<Watcher> {
  let pauseMs = firstPauseMs;
  let closed = false;
  let ready: () => void = () => undefined;
  const isReady = new Promise<void>((resolve) => (ready = resolve));
  const listed = async (): Promise<KubernetesListObject<Watched>> => {
    const found = await list();
    pauseMs = firstPauseMs;
    // By name, as it comes, an event would be told before what it follows.
    found.items.sort((a, b) => Number(versionOf(a) - versionOf(b)));
    // The informer tells of what is listed in this turn of the loop.
    setImmediate(ready);
    return found;
  };
  const informer = makeInformer<Watched>(api.config, path, listed, labelSelector);
  const again = (): void => {
    if (!closed) void informer.start().catch(failed);
  };
  // What the informer tells, and what it throws instead: credentials that can't be had for a moment.
  const failed = (error: unknown): void => {
    if (closed) return;
    log.warn('the cluster is not followed for a moment', { path, error: errorMessage(error) });
    setTimeout(again, pauseMs).unref();
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  };
  informer.on('add', (object) => told.changed(object));
  informer.on('update', (object) => told.changed(object));
  informer.on('delete', (object) => told.removed(object));
  informer.on('error', failed);
  await informer.start();
  await isReady;
  return {
    async close() {
      closed = true;
      await informer.stop();
    },
  };
}

/** Of one cluster versions are numbers that only grow. */
function versionOf({ metadata }: KubernetesObject): bigint {
  return BigInt(metadata?.resourceVersion ?? 0);
}
