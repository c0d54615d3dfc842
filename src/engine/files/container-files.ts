// files/: a container's files for `cp`, `diff`, `export` and `commit`.
//
// Where a container's files can be reached: in the VM it runs on, or, while it does not run, in a VM that only holds
// them. No file system of a guest is ever mounted on the host.

import { DaemonError } from '../../errors';
import { containerToPod } from '../../translate/container-to-pod';
import { onlyContainer } from '../../translate/pod';
import { guestContainer, guestPod } from '../../translate/pod-to-guest';
import { guestRootfs, guestTrees, podToVm } from '../../translate/pod-to-vm';
import type { Agent } from '../../vm/contract/agent';
import type { GuestMount } from '../../vm/contract/protocol';
import type { Vm, VmPool } from '../../vm/contract/vm';
import { networkFiles, type NetworkFileSources } from '../networks/container-network';
import { mergeMounts, prepareShares, shareNames } from '../mounts/container-shares';
import type { Container } from '../core/container-registry';
import { endVm } from '../vms/end-vm';
import { plugMissing } from '../vms/plugged-disks';
import { disksOf, type DiskStores } from '../vms/pod-plan';
import { isActive } from '../../semantics/containers/container-state';
import { requirePod, type PodPlaces } from '../vms/guest-access';
import type { FileHolding } from '../engine';
import type { FileJobs } from '../streams/file-jobs';
import { fillingTimeoutMs, ShareFilling, type VolumeUsers } from '../mounts/share-filling';
import type { Announcer } from '../../semantics/events/event-publisher';
import { publishVolumeEvents } from '../../semantics/events/volume-events';
import type { Pods } from '../vms/pods';

/** What a VM that holds files is made of. */
export type HolderNeeds = DiskStores &
  VolumeUsers &
  NetworkFileSources &
  Announcer & { readonly vms: Pick<VmPool, 'acquire'> };

/** The way to a container's files, be it running or not. */
export type FileAccess = PodPlaces & {
  readonly pods: Pick<Pods, 'vacated'>;
  readonly fileHolders: Pick<FileHolding, 'use'>;
};

/** As `FileAccess`, and who does there what is asked for. */
export type FileJobAccess = FileAccess & { readonly fileJobs: Pick<FileJobs, 'start'> };

/** A VM that holds a container's files waits this long for the next question: `docker cp` asks three in a row. */
const keptMs = 5_000;

/** Whose volumes in memory are. */
function holderOf(containerId: string): string {
  return `files of ${containerId}`;
}

interface Holder {
  vm: Vm;
  timer: NodeJS.Timeout | undefined;
}

/** VMs that hold files, by container. Used and ended in the container's queue only. */
export class FileHolders implements FileHolding {
  readonly #context: HolderNeeds;
  readonly #jobs: FileJobs;
  readonly #holders = new Map<string, Holder>();
  /** Containers whose images have been asked for what their volumes lack. */
  readonly #filled = new WeakSet<Container>();

  constructor(context: HolderNeeds, jobs: FileJobs) {
    this.#context = context;
    this.#jobs = jobs;
  }

  async use<T>(container: Container, work: (agent: Agent) => Promise<T>): Promise<T> {
    const holder = this.#holders.get(container.id) ?? (await this.#make(container));
    clearTimeout(holder.timer);
    this.#holders.set(container.id, holder);
    publishVolumeEvents(this.#context.events, container.record, 'mount');
    try {
      return await work(holder.vm.agent);
    } finally {
      publishVolumeEvents(this.#context.events, container.record, 'unmount');
      if (this.#holders.get(container.id) === holder) {
        const timer = setTimeout(() => this.#expire(container, timer), keptMs).unref();
        holder.timer = timer;
      }
    }
  }

  /** Has the volumes of a container that was only created filled from its image, as dockerd does at create. */
  async fillVolumes(container: Container): Promise<void> {
    if (this.#filled.has(container)) return;
    await container.operations.run(async () => {
      if (container.state.kind !== 'created' || this.#filled.has(container)) return;
      this.#filled.add(container);
      if (!this.#holders.has(container.id)) this.#holders.set(container.id, await this.#make(container));
      await this.release(container.id);
    });
  }

  /** What was written is on the container's disk, and its disk is free, when this resolves. Never throws. */
  async release(containerId: string): Promise<void> {
    const holder = this.#holders.get(containerId);
    if (holder === undefined) return;
    clearTimeout(holder.timer);
    this.#holders.delete(containerId);
    await endVm(holder.vm, { keepData: true });
    await this.#context.volumes.tmpfs.leave(holderOf(containerId));
  }

  async releaseAll(): Promise<void> {
    await Promise.all([...this.#holders.keys()].map((id) => this.release(id)));
  }

  #expire(container: Container, timer: NodeJS.Timeout): void {
    void container.operations.run(async () => {
      // Somebody may have asked while this waited for its turn: then there is a new timer.
      if (this.#holders.get(container.id)?.timer === timer) await this.release(container.id);
    });
  }

  /** The next question is for a VM that is there. */
  #lost(containerId: string, holder: Holder): void {
    if (this.#holders.get(containerId) !== holder) return;
    clearTimeout(holder.timer);
    this.#holders.delete(containerId);
    void this.#context.volumes.tmpfs.leave(holderOf(containerId));
  }

  async #make({ record, state }: Container): Promise<Holder> {
    const pod = containerToPod({ ...record, args: [record.path, ...record.args] });
    const spec = onlyContainer(pod);
    const paths = await disksOf(this.#context, record);
    const plan = podToVm(pod, [paths]);
    const vm = await this.#context.vms.acquire(`files-${record.id}`, {});
    let filling: ShareFilling | undefined;
    try {
      await plugMissing(vm, plan.disks);
      const names = shareNames(record);
      const prepared = await prepareShares(
        this.#context.volumes,
        record,
        undefined,
        names,
        holderOf(record.id),
      );
      // Docker has filled the volumes of one that was only created; of others, looking is no start.
      if (state.kind !== 'created') prepared.fillable.clear();
      filling = await ShareFilling.begin(this.#context, prepared);
      const { shares, mounts } = filling;
      // A socket is no file to be copied, and nobody here would answer in it.
      const isSocket = ({ source }: GuestMount): boolean =>
        prepared.sockets.some(({ name }) => source.endsWith(`/${name}`));
      const files = mounts.filter((mount) => !isSocket(mount));
      if (shares.length > 0) await vm.shareFiles(shares);
      vm.agent.onEvent((event, ack) => {
        if (event.event === 'exit') this.#jobs.onExit(event.id, event.status);
        ack();
      });
      await vm.agent.request('pod.setup', { pod: guestPod(pod, [], []) });
      const guest = guestContainer(
        {
          ...spec,
          pidNamespace: 'container',
          ipcNamespace: 'container',
          mounts: mergeMounts(spec.mounts, files).map((mount) => ({
            ...mount,
            populate: mount.populate === true && state.kind === 'created',
          })),
          cgroup: {},
        },
        {
          rootfs: guestRootfs(vm.pluggedDisks(), paths),
          trees: guestTrees(vm.pluggedDisks(), paths),
          files: networkFiles(this.#context, record, []),
          channels: {},
        },
      );
      const options = filling.fills ? { timeoutMs: fillingTimeoutMs } : {};
      const hold = { container: { ...guest, hold: true } };
      await filling.during(vm, vm.agent.request('container.start', hold, options));
      const holder = { vm, timer: undefined };
      void vm.ended.then(() => this.#lost(record.id, holder));
      return holder;
    } catch (error) {
      await vm.end();
      await filling?.abandon();
      await this.#context.volumes.tmpfs.leave(holderOf(record.id));
      throw error;
    }
  }
}

/**
 * Runs `work` with an agent that has the container's file system mounted. A container that does not run can't be
 * started or removed before `work` is over; what follows the exit of one that runs waits for it.
 */
export async function withFiles<T>(
  engine: FileAccess,
  container: Container,
  work: (agent: Agent) => Promise<T>,
): Promise<T> {
  const onItsVm = async (): Promise<T> => {
    const pod = await requirePod(engine, container);
    return container.fileUses.during(() => work(pod.vm.agent));
  };
  if (isActive(container.state)) return onItsVm();
  return container.operations.run(async () => {
    if (isActive(container.state)) return onItsVm();
    if (container.state.kind === 'removing' || container.state.kind === 'dead') {
      throw new DaemonError('Conflict', `container ${container.id} is marked for removal`);
    }
    await engine.pods.vacated(container.record.podId);
    return engine.fileHolders.use(container, work);
  });
}
