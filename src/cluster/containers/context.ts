// What the container verbs work on.

import type { Config, ClusterSettings } from '../../config';
import type { ContainerWaits } from '../../semantics/containers/container-wait';
import type { ContainerImages, ContainerNetworks, ContainerVolumes } from '../contract/areas';
import type { ClusterEvents } from '../records/event-log';
import type { ContainerStore } from '../records/container-store';
import type { Following, Supervisor } from '../supervisor/supervisor';
import type { PodLimits } from './pod-limits';
import type { Pods } from './pods';

/** The clients that are attached on this daemon. */
export interface RunFollowers {
  /** Whether the command is to wait while they are far behind. */
  holds(containerId: string): boolean;
  /** The run has begun; whoever is told closes it. */
  begun(containerId: string, following: Following): void;
  /** The run that was to begin has not. */
  failed(containerId: string): void;
}

export interface ClusterContext {
  readonly config: Pick<Config, 'containerDefaults' | 'defaultShmBytes'>;
  readonly settings: ClusterSettings;
  readonly containers: ContainerStore;
  readonly pods: Pods;
  readonly limits: Pick<PodLimits, 'change'>;
  readonly events: ClusterEvents;
  readonly waits: ContainerWaits;
  readonly images: ContainerImages;
  readonly volumes: ContainerVolumes;
  readonly networks: ContainerNetworks;
  readonly followers: RunFollowers;
  /** Of a Pod, by its name. */
  supervisor(podName: string): Supervisor;
}
