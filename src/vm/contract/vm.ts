// contract/: what the engine sees of a VM and of its agent.
//
// What the engine sees of a virtual machine. QemuVm (vm/qemu) is the implementation; tests have a fake one.

import type { Agent } from './agent';
import type { VmState } from './vm-state';

/** A disk to plug into a VM. `durable`: the guest's flushes reach the host's disk (volumes); else they are dropped. */
export interface VmDisk {
  /** Unique in the VM; letters, digits, dashes. */
  id: string;
  hostPath: string;
  format: 'raw' | 'vmdk';
  readOnly: boolean;
  durable: boolean;
}

/** A pre-provisioned virtio-net device of the VM; its tap lives in the private namespace, attached to nothing. */
export interface VmNic {
  index: number;
  tapName: string;
}

export interface VmResources {
  memoryBytes: number;
  cpus: number;
}

/** What a saved VM must be started with again. */
export interface SavedVm {
  /** Of QEMU, guest and machine together: a state is of use to the same ones only. */
  templateKey: string;
  resources: VmResources;
  /** LUN by disk id. */
  disks: Record<string, number>;
  /** It has a file server, whose state is in a file of its own. */
  sharesFiles?: boolean;
}

/** How a VM came to its end, for the records of what ran in it. */
export interface VmEnd {
  /** `requested`: end() was called; `crashed`: QEMU exited or was killed; `guest`: the guest powered off or panicked. */
  cause: 'requested' | 'crashed' | 'guest';
  message: string;
}

export interface Vm {
  readonly id: string;
  /** Host pid of QEMU. */
  readonly pid: number;
  readonly state: VmState;
  /** True once a Pod ran in it: the pool never hands it to another owner by itself. */
  readonly used: boolean;
  /** A user asked to keep it: it stays, Idle, until it is taken or ended by name, and the pool hands it to nobody else. */
  readonly held: boolean;
  readonly resources: VmResources;
  readonly nics: readonly VmNic[];
  readonly agent: Agent;
  /** Why nothing that the guest is asked can be answered for now: its process is stopped. Undefined: it can. */
  hindrance(): Promise<string | undefined>;
  /** What the guest last wrote to its console (64 KiB at most); "" when QEMU is gone. */
  readConsole(): Promise<string>;

  /** Binds the VM to a Pod, no longer `held`, and writes that into its run directory. Throws Conflict if it is Associated. */
  associate(podId: string): Promise<void>;
  /** After the agent's pod.teardown: Idle again, and marked as used. Without `hold` it ends with the daemon's next start. */
  release(options: { hold: boolean }): Promise<void>;
  /** From now on `held`; recorded. */
  hold(): Promise<void>;
  /** Plugs all disks at once; resolves with their LUNs in the same order. Gives the VM's user access to the files. Throws Conflict when another VM writes one. */
  plugDisks(disks: readonly VmDisk[]): Promise<number[]>;
  unplugDisks(ids: readonly string[]): Promise<void>;
  /** LUN by disk id, of what is plugged now (also after a daemon restart). */
  pluggedDisks(): ReadonlyMap<string, number>;
  /** Starts the VM's file server with the first share, and mounts it in the guest at /run/shares. */
  shareFiles(shares: readonly FileShare[]): Promise<void>;
  /** Takes away those whose names begin with this; files that the guest has open stay open. */
  unshareFiles(prefix: string): Promise<void>;
  /** Whether it has any share: its Pod was given one, and has not ended. */
  readonly sharesFiles: boolean;
  /** What was shared to be written can be read only from now on. */
  protectShares(names: readonly string[]): Promise<void>;
  /** QMP block_resize. */
  resizeDisk(id: string, sizeBytes: number): Promise<void>;
  /** QMP stop and cont: the vCPUs. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /**
   * Stops the vCPUs and writes memory and devices to a new file, and to another one what the guest has open of shared files,
   * if it has any. However it ends, `resume` has the VM go on. The disks hold what the guest has written to them, and nothing
   * is in flight. Throws Conflict when it has something open that could not be opened again.
   */
  save(statePath: string, filesPath: string): Promise<SavedVm>;
  /** Ends QEMU at once and removes its run directory and taps. Idempotent. Sync in the guest first if it matters. */
  end(): Promise<void>;
  /** Resolves when QEMU is gone, however that came. Never rejects. */
  readonly ended: Promise<VmEnd>;
}

export interface RestoreSource {
  statePath: string;
  /** Of a VM that shares files: what it has open, and the shares under the names that they had. */
  files?: { statePath: string; shares: readonly FileShare[] };
  disks: readonly { disk: VmDisk; lun: number }[];
}

/** A VM that an earlier daemon has left, until it has answered. */
export interface FoundVm {
  readonly id: string;
  /** As it was recorded. */
  readonly state: VmState;
  /** Ids of disks that are plugged, as recorded. */
  readonly disks: readonly string[];
  /** The rest of the record; undefined: its QEMU is gone, and what it left is cleared away. */
  readonly running?: Pick<Vm, 'pid' | 'resources' | 'used' | 'held'>;
  /** With the VM once it has answered; undefined: it is gone, and what it had is free. Never rejects. */
  readonly answered: Promise<Vm | undefined>;
  /** Why no answer can come for now, and for how long that has been so; undefined: it can come any moment. */
  hindrance(): { reason: string; forMs: number } | undefined;
  /** Ends it, whether it answers or not; `answered` follows. Idempotent. */
  end(): Promise<void>;
}

export type UnansweredVm = Pick<FoundVm, 'id' | 'state' | 'running'>;

export interface FoundVms {
  readonly vms: readonly FoundVm[];
  /** Resolves when no VM is left that no record tells of. Never rejects. */
  readonly straysEnded: Promise<void>;
}

export interface VmPool {
  /** An Idle VM, unused, with at least these resources: from the pool, else cloned, else booted. Already associated. */
  acquire(podId: string, wanted: Partial<VmResources>, signal?: AbortSignal): Promise<Vm>;
  /** A fresh Idle VM that is nobody's: held until someone takes or ends it. */
  hold(wanted: Partial<VmResources>): Promise<Vm>;
  /**
   * A VM that goes on where `saved` was, with these disks at the LUNs that it had; a disk may have another id and file
   * than then. Associated, with an identity of its own. Throws Conflict when this daemon can't run such a VM.
   */
  restore(podId: string, saved: SavedVm, source: RestoreSource): Promise<Vm>;
  /** This very VM, associated. Throws NotFound, or Conflict when it isn't Idle or has less than is wanted. */
  take(vmId: string, podId: string, wanted: Partial<VmResources>): Promise<Vm>;
  /** A running VM by id. */
  find(vmId: string): Vm | undefined;
  list(): Vm[];
  /** VMs of an earlier daemon that have neither answered yet nor ended: neither `find` nor `list` knows them. */
  readonly unanswered: readonly UnansweredVm[];
  /**
   * Looks for what an earlier daemon has left, and resolves at once with it, answers or none: re-attaching goes on, all VMs side
   * by side. `isUsed`: by its record something runs in a VM, so that one whose process is stopped is waited for. Those whose
   * QEMU is gone, that never finished booting or that answer no more are cleaned up. Idle ones go back to the pool.
   */
  recover(isUsed: (vmId: string) => boolean): Promise<FoundVms>;
  /** Starts filling the pool, once it is known which VMs of an earlier daemon are of use. */
  start(): void;
  /** Stops filling; ends the Idle VMs if `endIdle`; leaves Associated ones running and detaches from them. */
  close(options: { endIdle: boolean }): Promise<void>;
  /** For `info` and `doctor`. */
  status(): {
    accelerator: 'kvm' | 'tcg';
    acceleratorReason: string;
    idle: number;
    associated: number;
    template: boolean;
    /** What is kept ready, and which other sizes are cloned as well. */
    factory: { poolSize: number; default: VmResources; templates: VmResources[] };
  };
}

/** Something of the host that a VM may see, below the root of its FUSE mount. */
export interface FileShare {
  /** Directory name below the root: letters, digits, dashes. Unique in the VM. */
  name: string;
  /** A directory or a regular file, for the server by its real path (`realShares`). It is opened once; what takes its path later is not seen. */
  hostPath: string;
  readOnly: boolean;
}
