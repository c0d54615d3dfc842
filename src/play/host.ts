// What playing manifests needs of the daemon.

import type { ContainerBackend, ImageBackend, VolumeBackend } from '../api/v1.41/backend';
import type { NetdProbe } from '../network/addresses/netd-protocol';
import type { PodService } from '../api/v1/backend';
import type { PodInspect } from '../api/v1/types';
import type { DocumentStore } from '../storage/contract/stores';
import { isDaemonError } from '../errors';

export interface PlayHost {
  pods: PodService;
  containers: Pick<ContainerBackend, 'start' | 'stop' | 'wait'>;
  images: Pick<ImageBackend, 'inspect' | 'pull'>;
  volumes: Pick<VolumeBackend, 'create' | 'inspect' | 'remove'>;
  documents: DocumentStore;
  /** Exit code and output of a command in a running container; killed when the signal comes. */
  exec(
    containerId: string,
    command: string[],
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: Buffer }>;
  /** Resolves when it is known what has become of a Pod while no daemon was there. */
  whenKnown(podName: string): Promise<void>;
  /** '' when a Pod's address answers, else why not. */
  probe(probe: NetdProbe): Promise<string>;
  nodeName: string;
}

/** Undefined: there is no such Pod. */
export function findPod({ pods }: PlayHost, name: string): PodInspect | undefined {
  try {
    return pods.inspect(name);
  } catch (error) {
    if (isDaemonError(error, 'NotFound')) return undefined;
    throw error;
  }
}
