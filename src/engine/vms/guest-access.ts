// The way to the guest of a container that runs, be it paused.

import { notRunning, requireActive } from '../core/container-refusals';
import type { Container } from '../core/container-registry';
import { onlyPausedLeft, type KnownContainers } from './pod-cpus';
import type { Pods } from './pods';
import type { RunningPod } from './running-pod';

/** Where the Pods are that run. */
export interface PodPlaces {
  readonly pods: Pick<Pods, 'of'>;
}

/** What is asked of the guest of one that may be paused. */
export type GuestAccess = PodPlaces & KnownContainers;

/** The Pod of a running container. */
export function requirePod({ pods }: PodPlaces, container: Container): RunningPod {
  requireActive(container);
  const pod = pods.of(container);
  if (pod === undefined) throw notRunning(container);
  return pod;
}

/**
 * Runs `work` while the guest's CPUs turn. The processes of a paused container stay frozen meanwhile. In the
 * container's queue.
 */
export async function withGuest<T>(
  engine: GuestAccess,
  container: Container,
  work: (pod: RunningPod) => Promise<T>,
): Promise<T> {
  const pod = requirePod(engine, container);
  if (container.state.kind !== 'paused') return work(pod);
  return pod.cpus.run(async () => {
    await pod.vm.resume();
    try {
      return await work(pod);
    } finally {
      // Looked at anew: it may have exited meanwhile.
      if (pod.members.size > 0 && onlyPausedLeft(engine, pod)) await pod.vm.pause();
    }
  });
}
