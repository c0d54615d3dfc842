// The Pod that a start of a container makes.

import type { Config } from '../../config';
import { containerToPod } from '../../translate/container-to-pod';
import type { PodSpec } from '../../translate/pod';
import type { ContainerRecord } from '../../semantics/containers/container-record';
import type { ContainerRegistry } from '../core/container-registry';
import { withRunDefaults } from '../../semantics/create/daemon-defaults';
import { linkVariables } from '../../semantics/containers/links';
import { namedPodOf, namedPodResources } from '../vms/named-pods';

/** What it takes beside the container's record: the daemon's defaults, and the others of its Pod. */
export interface PodSources {
  readonly config: Pick<Config, 'containerDefaults'>;
  readonly registry: ContainerRegistry;
}

export function podOf(engine: PodSources, own: ContainerRecord): PodSpec {
  const record = { ...own, hostConfig: withRunDefaults(own.hostConfig, engine.config.containerDefaults) };
  const namedPod = namedPodOf(record);
  return {
    ...containerToPod({
      ...record,
      args: [record.path, ...record.args],
      linkEnv: linkVariables(engine.registry, record),
      ...(namedPod === undefined ? {} : { namedPod }),
    }),
    ...(namedPod === undefined ? {} : namedPodResources(engine, namedPod.name)),
  };
}
