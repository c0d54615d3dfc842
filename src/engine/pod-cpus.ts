// A VM's vCPUs turn while any of its containers may run: they are stopped when all of them are paused.

import type { Engine } from './engine';
import type { RunningPod } from './pods';

/** In the Pod's queue for its vCPUs. `except`: a container that is about to be paused. */
export function onlyPausedLeft(engine: Engine, pod: RunningPod, except?: string): boolean {
  return [...pod.members.keys()].every(
    (id) => id === except || engine.registry.byId(id)?.state.kind === 'paused',
  );
}

/** Stops the vCPUs if nothing is left that may run. */
export async function settleCpus(engine: Engine, pod: RunningPod): Promise<void> {
  if (pod.members.size === 0) return;
  await pod.cpus.run(async () => {
    if (pod.members.size > 0 && onlyPausedLeft(engine, pod)) await pod.vm.pause();
  });
}
