// The engine's memory of what runs, shared by the files that each do one verb.

import type { Container } from './core/container-registry';
import type { ContainerWaits } from './core/container-wait';
import type { FileHolders } from './files/container-files';
import type { EngineContext } from './core/engine-context';
import type { Pods } from './vms/pods';
import type { LeaveOptions, RunningPod } from './vms/running-pod';
import type { FileJobs } from './streams/file-jobs';
import type { Gates } from '../async/gates';
import type { PodHolds } from './core/pod-holds';
import type { RestartTimers } from './core/restart-timers';
import type { SocketTunnels } from './vms/socket-tunnels';
import { StreamHub } from './streams/stream-hub';

/** Live streams by container. They outlive runs, so that clients can attach before a start. */
export class StreamHubs {
  readonly #hubs = new Map<string, StreamHub>();

  of(id: string): StreamHub {
    let hub = this.#hubs.get(id);
    if (hub === undefined) {
      hub = new StreamHub();
      this.#hubs.set(id, hub);
    }
    return hub;
  }

  /** The container is gone: who is attached sees the end. */
  delete(id: string): void {
    this.#hubs.get(id)?.endRun();
    this.#hubs.delete(id);
  }
}

export interface Engine extends EngineContext {
  readonly hubs: StreamHubs;
  readonly pods: Pods;
  /** By Pod: starts of its containers find their VM one after the other. */
  readonly podGates: Gates;
  readonly podHolds: PodHolds;
  readonly waits: ContainerWaits;
  readonly restarts: RestartTimers;
  /** What the agents do on files, and VMs that hold those of containers that don't run. */
  readonly fileJobs: FileJobs;
  readonly fileHolders: FileHolders;
  readonly sockets: SocketTunnels;
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

/** Promises nobody else waits for. */
export class BackgroundWork {
  readonly #running = new Set<Promise<void>>();

  /** `work` must not reject. */
  add(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  /** When what runs now is over; not what comes meanwhile. */
  async current(): Promise<void> {
    await Promise.allSettled([...this.#running]);
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }
}
