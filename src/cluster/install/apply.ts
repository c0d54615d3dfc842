// Objects made in a cluster, or mended where they are there already.

import type { KubernetesObject } from '@kubernetes/client-node';
import { isDaemonError } from '../../errors';
import { callApi } from '../client/api-error';

/** What of the cluster's API is used here; KubernetesObjectApi has it. */
export interface ObjectWriter {
  create(object: KubernetesObject): Promise<unknown>;
  patch(object: KubernetesObject): Promise<unknown>;
}

/**
 * In their order; tells of each. An object that is there gets these contents, by a JSON merge patch: lists as rules are replaced, so
 * that no right of an earlier version stays. Throws, in the API's words, at the first that is refused.
 */
export async function applyObjects(
  writer: ObjectWriter,
  objects: readonly KubernetesObject[],
  tell: (object: KubernetesObject, outcome: 'made' | 'mended' | 'there') => void,
): Promise<void> {
  for (const object of objects) {
    try {
      await callApi(() => writer.create(object));
      tell(object, 'made');
      continue;
    } catch (error) {
      if (!isDaemonError(error, 'Conflict')) throw error;
    }
    // A namespace has nothing of ours to be mended, and who may not change it may still have it.
    if (object.kind === 'Namespace') {
      tell(object, 'there');
      continue;
    }
    await callApi(() => writer.patch(object));
    tell(object, 'mended');
  }
}
