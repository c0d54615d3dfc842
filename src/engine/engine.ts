// The engine's memory of what runs, shared by the files that each do one verb.

import type { BackgroundWork } from '../async/background-work';
import type { Agent } from '../vm/contract/agent';
import type { Container } from './core/container-registry';
import type { ContainerWaits } from '../semantics/containers/container-wait';
import type { EngineContext } from './core/engine-context';
import type { Adoptions } from './vms/adoptions';
import type { Pods } from './vms/pods';
import type { AttachedEndpoint, LeaveOptions, RunningPod } from './vms/running-pod';
import type { FileJobs } from './streams/file-jobs';
import type { Gates } from '../async/gates';
import type { PodHolds } from './core/pod-holds';
import type { RestartTimers } from './core/restart-timers';
import type { SocketTunnels } from './vms/socket-tunnels';
import type { StreamHubs } from '../semantics/streams/stream-hub';

export interface Engine extends EngineContext {
  readonly hubs: StreamHubs;
  readonly pods: Pods;
  /** VMs of an earlier daemon that have yet to answer. */
  readonly adoptions: Adoptions;
  /** By Pod: starts of its containers find their VM one after the other. */
  readonly podGates: Gates;
  readonly podHolds: PodHolds;
  readonly waits: ContainerWaits;
  readonly restarts: RestartTimers;
  /** What the agents do on files, and VMs that hold those of containers that don't run. */
  readonly fileJobs: FileJobs;
  readonly fileHolders: FileHolding;
  readonly sockets: SocketTunnels;
  /** Ports of the host that follow what containers on its network listen on. */
  readonly hostNetworks: HostFollowing;
  /** Console sizes asked for before the process existed. */
  readonly consoleSizes: Map<string, { rows: number; columns: number }>;
  /** Work that a verb left to the background, so that the daemon can wait for it at its end. */
  readonly background: BackgroundWork;
  /** Of that, endpoints that are given back: a network is in use until they are. */
  readonly networkReleases: BackgroundWork;
  /**
   * Asked for by a container's id, when its run is over and recorded, before its VM is ended: who needs what is still in
   * the VM holds it up. The answer is what must be kept afterwards.
   */
  readonly beforeRest: Map<string, (pod: RunningPod) => Promise<LeaveOptions>>;
  /** Called when a container's run is over, before it may start again: its execs end with it. */
  readonly endExecs: (container: Container) => void;
}

/** Until `stop` the host listens on what a container on its network listens on. */
export interface HostFollowing {
  follow(containerId: string, pod: RunningPod, attached: readonly AttachedEndpoint[]): void;
  /** Never rejects. */
  stop(containerId: string): Promise<void>;
  stopAll(): Promise<void>;
}

/** VMs that hold the files of containers that don't run. `use` and `release` are called in the container's queue. */
export interface FileHolding {
  /** Runs `work` with an agent that has the container's file system mounted. */
  use<T>(container: Container, work: (agent: Agent) => Promise<T>): Promise<T>;
  /** Has the volumes of a container that was only created filled from its image, as dockerd does at create. */
  fillVolumes(container: Container): Promise<void>;
  /** What was written is on the container's disk, and its disk is free, when this resolves. Never throws. */
  release(containerId: string): Promise<void>;
  /** As `release`, of all. */
  releaseAll(): Promise<void>;
}
