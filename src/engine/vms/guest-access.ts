// The way to the guest of a container that runs, be it paused: its processes are frozen then, the guest is not.

import { notRunning, requireActive } from '../../semantics/containers/container-refusals';
import type { Container } from '../core/container-registry';
import { HinderedVm, type Adoptions } from './adoptions';
import type { Pods } from './pods';
import type { RunningPod } from './running-pod';

/** Where the Pods are that run. */
export interface PodPlaces {
  readonly pods: Pick<Pods, 'of'>;
  readonly adoptions: Pick<Adoptions, 'settled'>;
}

/** The Pod of a container that runs, undefined of others. Throws HinderedVm when its VM can't answer anything. */
export async function findPod(
  { pods, adoptions }: PodPlaces,
  container: Container,
): Promise<RunningPod | undefined> {
  await adoptions.settled(container);
  const pod = pods.of(container);
  const reason = await pod?.vm.hindrance();
  if (pod !== undefined && reason !== undefined) throw new HinderedVm(pod.vm.id, reason);
  return pods.of(container);
}

/** The Pod of a running container; as `findPod`, and throws Docker's refusal of others. */
export async function requirePod(engine: PodPlaces, container: Container): Promise<RunningPod> {
  requireActive(container);
  const pod = await findPod(engine, container);
  if (pod === undefined) throw notRunning(container);
  return pod;
}
