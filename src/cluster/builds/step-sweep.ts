// Pods of steps whose daemon is gone: each says from time to time that it goes on.

import type { V1Pod } from '@kubernetes/client-node';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { beatAnnotation, stepLabel } from './step-pod';

/** How often the Pod of a step is told that it goes on. */
export const beatMs = 10_000;
/** A daemon that goes on says so more often, unless the API server is away. */
const silentMs = 90_000;

interface SweptPods {
  list(): readonly V1Pod[];
  remove(name: string, graceSeconds: number): Promise<void>;
}

/** Removes what nothing is heard of for long. Returns what ends that. */
export function sweepSteps(pods: SweptPods, now = () => performance.now()): () => void {
  let seen = new Map<string, number>();
  const sweep = async (): Promise<void> => {
    const next = new Map<string, number>();
    const silent = pods.list().flatMap(({ metadata }) => {
      const { name = '', uid = '', labels = {}, annotations = {}, deletionTimestamp } = metadata ?? {};
      if (labels[stepLabel] !== 'true' || deletionTimestamp !== undefined) return [];
      const key = `${uid} ${annotations[beatAnnotation] ?? ''}`;
      const since = seen.get(key) ?? now();
      next.set(key, since);
      return now() - since < silentMs ? [] : [name];
    });
    seen = next;
    for (const name of silent) {
      log.warn('a step of a build is removed whose daemon is gone', { pod: name });
      await pods.remove(name, 0);
    }
  };
  const timer = setInterval(() => {
    sweep().catch((error: unknown) =>
      log.debug('steps of builds are not looked at', { error: errorMessage(error) }),
    );
  }, beatMs).unref();
  return () => clearInterval(timer);
}
