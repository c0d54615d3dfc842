// The way to the guest of a container that runs, be it paused: its processes are frozen then, the guest is not.

import { notRunning, requireActive } from '../core/container-refusals';
import type { Container } from '../core/container-registry';
import type { Pods } from './pods';
import type { RunningPod } from './running-pod';

/** Where the Pods are that run. */
export interface PodPlaces {
  readonly pods: Pick<Pods, 'of'>;
}

/** The Pod of a running container. */
export function requirePod({ pods }: PodPlaces, container: Container): RunningPod {
  requireActive(container);
  const pod = pods.of(container);
  if (pod === undefined) throw notRunning(container);
  return pod;
}
