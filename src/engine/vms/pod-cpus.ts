// A VM's vCPUs turn while any of its containers may run: they are stopped when all of them are paused.

import { log } from '../../log';
import type { ContainerRegistry } from '../core/container-registry';
import type { RunningPod } from './running-pod';

/** Where it is looked up whether a container is paused. */
export interface KnownContainers {
  readonly registry: Pick<ContainerRegistry, 'byId'>;
}

/** Runs `work` with the vCPUs turning. Containers that are paused stay frozen in it. */
export async function withCpus<T>(
  engine: KnownContainers,
  pod: RunningPod,
  work: () => Promise<T>,
): Promise<T> {
  pod.cpuUsers += 1;
  try {
    await pod.cpus.run(() => pod.vm.resume());
    return await work();
  } finally {
    pod.cpuUsers -= 1;
    await settleCpus(engine, pod).catch((error: unknown) =>
      log.warn('vCPUs could not be stopped again', { podId: pod.id, error }),
    );
  }
}

/** In the Pod's queue for its vCPUs. `except`: a container that is about to be paused. */
export function onlyPausedLeft(engine: KnownContainers, pod: RunningPod, except?: string): boolean {
  if (pod.cpuUsers > 0) return false;
  return [...pod.members.keys()].every(
    (id) => id === except || engine.registry.byId(id)?.state.kind === 'paused',
  );
}

/** Stops the vCPUs if nothing is left that may run. */
export async function settleCpus(engine: KnownContainers, pod: RunningPod): Promise<void> {
  if (pod.members.size === 0) return;
  await pod.cpus.run(async () => {
    if (pod.members.size > 0 && onlyPausedLeft(engine, pod)) await pod.vm.pause();
  });
}
