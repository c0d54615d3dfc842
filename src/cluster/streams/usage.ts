// What a container has written: its supervisor counts it, on the node where it lies.

import { errorMessage } from '../../errors';
import { log } from '../../log';
import { Slots } from '../../async/slots';
import type { ClusterContainer } from '../records/cluster-container';
import { readJob } from './jobs';
import type { ContainerReach } from './reach';

const maxUsageBytes = 1024;
/** For a container whose node does not answer: others are to be listed all the same. */
const usageMs = 20_000;
/** A list asks for all containers at once. */
const slots = new Slots(8);

/** Bytes; 0 of one that has no Pod yet, -1, as Docker has it, where it can't be counted. */
export async function writtenBytes(reach: ContainerReach, container: ClusterContainer): Promise<number> {
  return slots.run(async () => {
    const supervisor = reach.supervisor(container);
    if (supervisor === undefined) return 0;
    try {
      const signal = AbortSignal.timeout(usageMs);
      const { output, code, message } = await readJob(supervisor, { kind: 'usage' }, maxUsageBytes, signal);
      const { bytes } = Object(code === 0 ? JSON.parse(output.toString()) : {}) as { bytes?: unknown }; // whatever it wrote
      if (Number.isSafeInteger(bytes) && Number(bytes) >= 0) return Number(bytes);
      log.debug('the size of a container is not known', { containerId: container.id, message });
    } catch (error) {
      log.debug('the size of a container is not known', {
        containerId: container.id,
        error: errorMessage(error),
      });
    }
    return -1;
  });
}
