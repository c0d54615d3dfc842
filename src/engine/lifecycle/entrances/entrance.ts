// The ways into a VM, and what they have in common: each knows for itself where the container's VM and endpoints come from, and
// how its process begins. Whatever one takes it puts down in `Taken` at once.

import type { PodContainerSpec, PodSpec } from '../../../translate/pod';
import type { ContainerDisks } from '../../../translate/pod-to-vm';
import type { Agent } from '../../../vm/contract/agent';
import type { GuestContainerSpec, GuestFile } from '../../../vm/contract/protocol';
import type { LogOffsets } from '../../core/container-log';
import type { ContainerRecord } from '../../../semantics/containers/container-record';
import type { Container } from '../../core/container-registry';
import type { RunFacts, ShareNames, SocketTargets } from '../../../semantics/containers/container-state';
import type { ShareFilling } from '../../mounts/share-filling';
import type { AttachedEndpoint, RunningPod } from '../../vms/running-pod';
import type { Taken } from './taken';

/** A container that is about to start. */
export interface Arrival {
  container: Container;
  /** Its record as the start found it, with the daemon's defaults. */
  record: ContainerRecord;
  /** The Pod that it would make, with nothing in it but this container. */
  pod: PodSpec;
  spec: PodContainerSpec;
  disks: ContainerDisks;
  taken: Taken;
}

/** A container that is a member of a Pod on its VM. */
export interface Entered {
  pod: RunningPod;
  /** By disk. */
  luns: ReadonlyMap<string, number>;
  /** The guest has made the Pod's namespaces and interfaces; rejects when it could not. */
  ready: Promise<void>;
  /** Endpoints that the container's record gets. */
  attached: readonly AttachedEndpoint[];
  /** Endpoints that its published ports lead to. */
  reachedAt: readonly AttachedEndpoint[];
}

/** What the process finds that is not of its own image, volumes and binds. */
export interface Surroundings {
  files: GuestFile[];
  sysctls: Record<string, string>;
  /** A network namespace with nothing in it, instead of the Pod's. */
  ownNetwork: boolean;
}

/** What of the host the guest has for the container. */
export interface Shared {
  filling: ShareFilling;
  sockets: SocketTargets;
  /** Of one that goes on from a checkpoint, as they were there. */
  names?: ShareNames;
}

export interface Beginning {
  entered: Entered;
  filling: ShareFilling;
  files: readonly GuestFile[];
  /** What the guest is asked for a process that does not exist yet. Called once at most. */
  request: () => { container: GuestContainerSpec };
}

/** In the order in which a start calls them; `share` and `begin` once it has entered. */
export interface Entrance {
  /** Where its log goes on; undefined: it begins. */
  readonly logged?: LogOffsets;
  enter(): Promise<Entered>;
  share(pod: RunningPod): Promise<Shared>;
  channels(agent: Agent): RunFacts['channels'];
  surroundings(attached: readonly AttachedEndpoint[]): Surroundings;
  begin(beginning: Beginning): Promise<{ pid: number }>;
  /** What the record has otherwise while it runs. */
  recorded(): Partial<Pick<ContainerRecord, 'config'>>;
  /** The start is recorded: what was kept for the case of a failure can go. Never throws. */
  keep(): Promise<void>;
}
