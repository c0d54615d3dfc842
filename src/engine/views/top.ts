// ContainerTop: the guest's ps, with only the container's processes left.

import type { ContainerTopResponse } from '../../docker/types';
import { DaemonError } from '../../errors';
import { AgentError } from '../../vm/contract/agent-error';
import { eventAttributes } from '../../semantics/containers/container-record';
import type { Container } from '../core/container-registry';
import { formatTop, parsePsArguments } from '../../semantics/views/top-format';
import { requirePod, type PodPlaces } from '../vms/guest-access';
import type { Announcer } from '../../semantics/events/event-publisher';

/** Queues by itself. */
export async function containerTop(
  engine: PodPlaces & Announcer,
  container: Container,
  psArgs: string,
): Promise<ContainerTopResponse> {
  const psArguments = parsePsArguments(psArgs);
  const answer = await container.operations.run(async () => {
    const pod = await requirePod(engine, container);
    try {
      return await pod.vm.agent.request('container.top', {
        id: container.id,
        psArgs: psArguments,
      });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      // Docker shows the first line of what ps complained of.
      throw new DaemonError('Internal', `ps: ${error.failure.message.split('\n', 1)[0] ?? ''}`, {
        cause: error,
      });
    }
  });
  const response = formatTop(answer.output, answer.pids);
  engine.events.publish('container', 'top', container.id, eventAttributes(container.record));
  return response;
}
