// Pods of steps whose daemon is gone: each says from time to time that it goes on.

import type { V1Pod } from '@kubernetes/client-node';
import { Sightings } from '../../async/sightings';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { beatMs, silentMs } from '../contract/build-beat';
import { beatAnnotation, stepLabel } from './step-pod';

interface SweptPods {
  list(): readonly V1Pod[];
  remove(name: string, graceSeconds: number): Promise<void>;
}

/** Removes what nothing is heard of for long. Returns what ends that. */
export function sweepSteps(pods: SweptPods, now?: () => number): () => void {
  const sightings = new Sightings(now);
  const sweep = async (): Promise<void> => {
    const silent = await sightings.look((ageMs) =>
      pods.list().flatMap(({ metadata }) => {
        const { name = '', uid = '', labels = {}, annotations = {}, deletionTimestamp } = metadata ?? {};
        if (labels[stepLabel] !== 'true' || deletionTimestamp !== undefined) return [];
        return ageMs(`${uid} ${annotations[beatAnnotation] ?? ''}`) < silentMs ? [] : [name];
      }),
    );
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
