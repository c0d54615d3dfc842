// vms/: a Pod on its VM as long as the daemon lives: how it gets one, what is plugged and taken out, how it ends.
//
// Pods that run: which VM each has, its endpoints, and the way back when any step fails.

import { DaemonError } from '../../errors';
import { log } from '../../log';
import type { NetworkManager } from '../../network/network';
import type { PodSpec } from '../../translate/pod';
import { sigkill } from '../../translate/signals';
import { guestPod, type PodInterface } from '../../translate/pod-to-guest';
import {
  containerDisks,
  diskIds,
  isLayerDisk,
  podToVm,
  sharedDiskIds,
  type ContainerDisks,
} from '../../translate/pod-to-vm';
import { writeBackTimeoutMs, type AgentTunnel } from '../../vm/contract/agent';
import type { AgentEvent } from '../../vm/contract/protocol';
import type { RestoreSource, SavedVm, Vm, VmEnd, VmPool, VmResources } from '../../vm/contract/vm';
import { isActive, type ContainerState } from '../../semantics/containers/container-state';
import { settlesWithin } from '../../async/deadline';
import { OperationQueue } from '../../async/operation-queue';
import { gatewayOrder } from './gateway-order';
import { endVm } from './end-vm';
import { HandOver } from './hand-over';
import { isLeft, isUp, nextPlace, type Place, type PlaceEvent } from './place-state';
import { plugExactly, plugMissing, unplugUnused } from './plugged-disks';
import { Wishes } from './pod-wishes';
import {
  attachNic,
  podInterface,
  type AttachedEndpoint,
  type LeaveOptions,
  type RunningContainer,
  type RunningPod,
} from './running-pod';
import { takeOut } from './take-out';

/** How long a container whose start failed may take to die. */
const killTimeoutMs = 10_000;

/** Where Pods have their VMs and networks from. */
export interface PodsContext {
  readonly vms: Pick<VmPool, 'acquire' | 'take' | 'restore' | 'find'>;
  readonly networks: Pick<NetworkManager, 'attach' | 'detach' | 'release'>;
}

export interface PodHandlers {
  onEvent: (pod: RunningPod, event: AgentEvent, ack: () => void) => void;
  /** A process in the VM has connected to a socket of the host. */
  onTunnel: (pod: RunningPod, tunnel: AgentTunnel) => void;
  /** The VM is gone and nobody asked for it. */
  onLost: (pod: RunningPod, end: VmEnd) => void;
}

export class Pods {
  readonly #context: PodsContext;
  readonly #handlers: PodHandlers;
  /** The only record of which Pods there are, and where; the newest is the last. */
  readonly #places = new Map<RunningPod, Place>();
  readonly #wishes = new Wishes();

  constructor(context: PodsContext, handlers: PodHandlers) {
    this.#context = context;
    this.#handlers = handlers;
  }

  /** The Pod on which a container runs; undefined when it doesn't. */
  of({ state }: { state: ContainerState }): RunningPod | undefined {
    return isActive(state) ? this.list().find(({ vm }) => vm.id === state.vmId) : undefined;
  }

  /** Whether its VM is there, as far as is known. */
  isUp(pod: RunningPod): boolean {
    return isUp(this.#placeOf(pod));
  }

  /** The Pod's newest place; older ones are left to those that are in them. */
  find(podId: string): RunningPod | undefined {
    return this.list().findLast(({ id }) => id === podId);
  }

  list(): RunningPod[] {
    return [...this.#places].flatMap(([pod, place]) => (isUp(place) ? pod : []));
  }

  /**
   * Takes a VM for the Pod, plugs its disks and has its namespaces and interfaces made. With `saved` it is that VM, and
   * what it has of them becomes this Pod's. Undoes all when it throws.
   */
  async run(
    pod: PodSpec,
    disks: readonly ContainerDisks[],
    endpoints: Promise<AttachedEndpoint[]>,
    dnsForward: (endpoints: readonly AttachedEndpoint[]) => string[],
    options: { ownsEndpoints?: boolean; saved?: { vm: SavedVm; source: RestoreSource } } = {},
  ): Promise<{ pod: RunningPod; luns: ReadonlyMap<string, number>; ready: Promise<void> }> {
    const plan = podToVm(pod, disks);
    // Seen here even if the VM fails first: whoever made the promise releases the endpoints.
    endpoints.catch(() => undefined);
    const startedAt = performance.now();
    const { saved } = options;
    const vm =
      saved === undefined
        ? await this.#takeVm(pod.id, plan.resources)
        : await this.#context.vms.restore(pod.id, saved.vm, saved.source);
    const acquiredMs = Math.round(performance.now() - startedAt);
    const handOver = this.#claim(vm.id);
    try {
      // What the Pod before still has in it is taken out later.
      const plug = handOver === undefined ? plugExactly : plugMissing;
      const plugged = saved === undefined ? plug(vm, plan.disks) : Promise.resolve();
      plugged.catch(() => undefined);
      const attached = await endpoints;
      const interfaces = gatewayOrder(attached).map(podInterface);
      // The answer is not awaited here: the guest works on it while QEMU plugs the disks.
      const op = handOver !== undefined ? 'pod.replace' : saved !== undefined ? 'pod.renew' : 'pod.setup';
      const ready = this.#setUp({ vm, op }, pod, attached, interfaces, dnsForward(attached));
      ready.catch(() => undefined);
      await plugged;
      log.debug('pod has its VM', {
        podId: pod.id,
        vmId: vm.id,
        acquiredMs,
        pluggedMs: Math.round(performance.now() - startedAt),
      });
      const running = this.#adopt(
        pod.id,
        vm,
        disks,
        ready,
        options.ownsEndpoints === true ? attached : undefined,
        handOver,
      );
      return { pod: running, luns: vm.pluggedDisks(), ready };
    } catch (error) {
      // What the Pod before has written is not on its disks yet.
      await endVm(vm, { keepData: handOver !== undefined });
      throw error;
    }
  }

  /**
   * Makes one more container a member of a Pod that runs, and plugs what it needs. Undoes that when it throws. Throws
   * Conflict when the Pod has come to its end meanwhile.
   */
  async join(pod: RunningPod, disks: ContainerDisks): Promise<ReadonlyMap<string, number>> {
    if (!this.isUp(pod)) throw new DaemonError('Conflict', `Pod ${pod.id} has ended`);
    // At once: it must not end while this one comes.
    pod.members.set(disks.containerId, disks);
    try {
      await pod.cpus.run(() => pod.vm.resume());
      await pod.disks.run(() => plugMissing(pod.vm, containerDisks([disks])));
      await pod.ready;
      return pod.vm.pluggedDisks();
    } catch (error) {
      await this.leave(pod, disks.containerId, { keepData: false });
      throw error;
    }
  }

  /** Takes up a Pod that an earlier daemon left running, with the streams of its containers. Events that waited are handled at once. */
  adopt(
    podId: string,
    vm: Vm,
    members: readonly ContainerDisks[],
    {
      containers,
      endpoints,
    }: { containers: Map<string, RunningContainer>; endpoints: readonly AttachedEndpoint[] | undefined },
  ): RunningPod {
    return this.#adopt(podId, vm, members, Promise.resolve(), endpoints, undefined, containers);
  }

  /** Where the Pod's next start shall find its VM; undefined: anywhere. */
  place(podId: string, vmId: string | undefined): void {
    this.#wishes.change(podId, { vmId });
  }

  /** Whether the VM is kept, Idle, when the Pod's last container ends. */
  keepVm(podId: string, kept: boolean): void {
    this.#wishes.change(podId, { kept });
  }

  /** From now on the Pod's VM does not end with its last container, but with `unpin`. */
  pin(podId: string): void {
    this.#wishes.change(podId, { pinned: true });
  }

  /** Whether the VM is still of use when the Pod's last container has left it. */
  isPinned(podId: string): boolean {
    return this.#wishes.of(podId).pinned;
  }

  /** Ends the VM if nothing is in it. Resolves when that is done; never throws. */
  async unpin(podId: string, options: LeaveOptions = { keepData: true }): Promise<void> {
    this.#wishes.change(podId, { pinned: false });
    const pod = this.find(podId);
    if (pod?.members.size === 0) await this.#stop(pod, options);
  }

  /**
   * From now on the Pod's VM is another's as soon as its last container has ended; with `place` that one's start finds it, Idle
   * or at work on what the old Pod has left. Where that can't be, it is kept as with `keepVm`. Undefined: the Pod has none.
   */
  handOver(podId: string, next: readonly ContainerDisks[]): HandOver | undefined {
    const pod = this.find(podId);
    if (pod === undefined) return undefined;
    const handOver = new HandOver(pod, next);
    this.#step(pod, { kind: 'arrange', to: handOver });
    return handOver;
  }

  /** The Pod has come to its end, or goes on after all. Never rejects. */
  async endHandOver(podId: string): Promise<void> {
    const pod = this.find(podId);
    if (pod === undefined) return;
    const place = this.#placeOf(pod);
    if (place.kind !== 'HandingOver') return;
    this.#step(pod, { kind: 'goOn' });
    await place.to.giveUp();
  }

  /** Ends a VM that was kept for a Pod whose start has not come so far as to take it. Never throws. */
  async discard(vmId: string): Promise<void> {
    const vm = this.#context.vms.find(vmId);
    if (vm?.state.kind !== 'Idle') return;
    const handOver = this.#claim(vmId);
    await endVm(vm, { keepData: handOver !== undefined });
  }

  /** Resolves when an end of the Pod that is under way is over: its endpoints and its VM are free. Never rejects. */
  async ended(podId: string): Promise<void> {
    await Promise.all(this.#placesOf(podId).flatMap((place) => ('done' in place ? [place.done] : [])));
  }

  /** As `ended`; and its disks are free, too. Never rejects. */
  async settled(podId: string): Promise<void> {
    await this.ended(podId);
    await this.vacated(podId);
  }

  /** Resolves when no VM that is another Pod's now has this one's disks. Never rejects. */
  async vacated(podId: string): Promise<void> {
    await Promise.all(this.#placesOf(podId).flatMap((place) => (isLeft(place) ? [place.to.over] : [])));
  }

  /**
   * A container's process is gone, or never came. With the last member the VM is ended, unless the Pod is pinned; before
   * that only what is this one's is taken out. Resolves with whether nothing of it is in a VM any more; never throws.
   */
  async leave(pod: RunningPod, containerId: string, options: LeaveOptions): Promise<boolean> {
    const disks = pod.members.get(containerId);
    pod.members.delete(containerId);
    pod.containers.delete(containerId);
    const place = this.#placeOf(pod);
    // Its VM is gone, and everything with it.
    if (!isUp(place)) return true;
    const handOver = place.kind === 'HandingOver' ? place.to : undefined;
    if (disks !== undefined) handOver?.leave(disks, options.keepData);
    if (pod.members.size === 0 && !this.isPinned(pod.id)) {
      await this.#stop(pod, options);
      return true;
    }
    if (disks === undefined || handOver !== undefined) return disks === undefined;
    const kept = options.keepShared === true ? sharedDiskIds(disks) : [];
    const own = diskIds(disks).filter((id) => !kept.includes(id));
    try {
      await takeOut(pod, [{ id: containerId, keepData: options.keepData }], own);
      return true;
    } catch (error) {
      if (!this.isUp(pod)) return true;
      log.warn('what a container had in its VM could not be taken out', {
        containerId,
        vmId: pod.vm.id,
        error,
      });
      return false;
    }
  }

  /** Unplugs layers that no container of the Pod uses. */
  async unplugLayers(pod: RunningPod): Promise<void> {
    const used = new Set([...pod.members.values()].flatMap(diskIds));
    const unused = [...pod.vm.pluggedDisks().keys()].filter((id) => isLayerDisk(id) && !used.has(id));
    if (unused.length > 0) await unplugUnused(pod, unused);
  }

  /** As `leave`, for a start that failed: whatever of the container runs by then is killed first. Never throws. */
  async abandon(pod: RunningPod, containerId: string): Promise<void> {
    void pod.handOver?.takeOut(pod);
    if (pod.members.size > 1 || this.isPinned(pod.id)) await endProcess(pod, containerId);
    await this.leave(pod, containerId, { keepData: false });
  }

  /**
   * Ends and takes out containers that the guest knows and nobody else does, and unplugs what no member uses. True: there
   * was something. Never throws.
   */
  async tidy(pod: RunningPod, strays: readonly { id: string }[]): Promise<boolean> {
    const used = new Set([...pod.members.values()].flatMap(diskIds));
    const unused = [...pod.vm.pluggedDisks().keys()].filter((id) => !used.has(id));
    if (strays.length === 0 && unused.length === 0) return false;
    log.info('VM is rid of what an earlier daemon left', {
      vmId: pod.vm.id,
      strays: strays.map(({ id }) => id),
    });
    try {
      for (const { id } of strays) await endProcess(pod, id);
      await takeOut(
        pod,
        strays.map(({ id }) => ({ id, keepData: true })),
        unused,
      );
    } catch (error) {
      log.warn('VM could not be rid of what an earlier daemon left', { vmId: pod.vm.id, error });
    }
    return true;
  }

  async #takeVm(podId: string, wanted: Partial<VmResources>): Promise<Vm> {
    const { vmId } = this.#wishes.of(podId);
    this.#wishes.change(podId, { vmId: undefined });
    return vmId === undefined
      ? this.#context.vms.acquire(podId, wanted)
      : this.#context.vms.take(vmId, podId, wanted);
  }

  #placeOf(pod: RunningPod): Place {
    return this.#places.get(pod) ?? { kind: 'Gone' };
  }

  #placesOf(podId: string): Place[] {
    return [...this.#places].flatMap(([{ id }, place]) => (id === podId ? place : []));
  }

  /** Throws when the step is illegal: whoever takes one has seen in what state the place is. */
  #step(pod: RunningPod, event: PlaceEvent): void {
    const before = this.#placeOf(pod);
    const place = nextPlace(before, event);
    if (place === undefined) {
      throw new RangeError(`Pod ${pod.id} on VM ${pod.vm.id} is ${before.kind}: no ${event.kind}`);
    }
    if (place.kind === 'Gone') this.#places.delete(pod);
    else this.#places.set(pod, place);
  }

  /** What a Pod has left in this VM; nobody else is told of it from now on. */
  #claim(vmId: string): HandOver | undefined {
    for (const [pod, place] of this.#places) {
      if (place.kind !== 'Passed' || pod.vm.id !== vmId) continue;
      this.#step(pod, { kind: 'claim' });
      return place.to;
    }
    return undefined;
  }

  /** Of a Pod that is up. Never throws. */
  async #stop(pod: RunningPod, options: LeaveOptions): Promise<void> {
    const place = this.#placeOf(pod);
    const handOver = place.kind === 'HandingOver' ? place.to : undefined;
    // Behind the step: from then on it is nobody's any more.
    const done = Promise.resolve().then(() => this.#takeDown(pod, options, handOver));
    this.#step(pod, { kind: 'stop', done });
    await done;
    if (this.#placeOf(pod).kind === 'Stopping') this.#step(pod, { kind: 'ended' });
    else void handOver?.over.then(() => this.#step(pod, { kind: 'over' }));
    handOver?.pass();
  }

  /** Never throws. */
  async #takeDown(pod: RunningPod, options: LeaveOptions, handOver: HandOver | undefined): Promise<void> {
    // What had the VM before this one is still to be written back.
    await pod.handOver?.takeOut(pod);
    if (handOver === undefined || !(await this.#pass(pod, handOver))) {
      const isAsked = this.#wishes.of(pod.id).kept;
      const isKept = isAsked || (options.keepVm ?? false);
      const kept = isKept && (await this.#reset(pod, { forBuild: !isAsked, handOver }));
      if (!kept) await endVm(pod.vm, options);
      handOver?.finish();
    }
    await this.#releaseEndpoints(pod);
  }

  /** The VM is the next Pod's as it is. False: it can't be. */
  async #pass(pod: RunningPod, handOver: HandOver): Promise<boolean> {
    const { id, vm, stopListening } = pod;
    try {
      if (!(await handOver.isPossible())) return false;
      // A daemon that dies here has nobody who would come for it.
      await vm.release({ hold: false });
      stopListening();
      this.#step(pod, { kind: 'pass' });
      return true;
    } catch (error) {
      log.warn('VM could not be handed over', { podId: id, vmId: vm.id, error });
      return false;
    }
  }

  /**
   * The VM is Idle again, for whoever asks for it by name. That of a build keeps its layers plugged, since its next Pod is of
   * the same build, and does not outlive the daemon. False: it could not be reset.
   */
  async #reset(
    { id, vm, stopListening }: RunningPod,
    { forBuild, handOver }: { forBuild: boolean; handOver: HandOver | undefined },
  ): Promise<boolean> {
    try {
      await vm.agent.request('pod.teardown', {}, { timeoutMs: writeBackTimeoutMs });
      await Promise.all(vm.nics.map(({ tapName }) => this.#context.networks.detach(tapName)));
      const plugged = [...vm.pluggedDisks().keys()];
      await vm.unplugDisks(
        plugged.filter((disk) => !(forBuild && isLayerDisk(disk)) && handOver?.isNext(disk) !== true),
      );
      stopListening();
      await vm.release({ hold: !forBuild });
      return true;
    } catch (error) {
      log.warn('VM could not be kept', { podId: id, vmId: vm.id, error });
      return false;
    }
  }

  /** Never throws. */
  async #releaseEndpoints(pod: RunningPod): Promise<void> {
    for (const { endpoint } of pod.endpoints) {
      await this.#context.networks
        .release(endpoint.networkId, pod.id)
        .catch((error: unknown) => log.warn('endpoint could not be released', { podId: pod.id, error }));
    }
  }

  async #setUp(
    { vm, op }: { vm: Vm; op: 'pod.setup' | 'pod.renew' | 'pod.replace' },
    pod: PodSpec,
    attached: readonly AttachedEndpoint[],
    interfaces: readonly PodInterface[],
    dnsForward: string[],
  ): Promise<void> {
    const startedAt = performance.now();
    const since = (): number => Math.round(performance.now() - startedAt);
    const host = attached.find(({ endpoint }) => endpoint.host !== undefined)?.endpoint.host;
    const hostLoopback = host === undefined ? {} : { hostLoopback: host.loopback };
    // Side by side: until the guest has given a NIC its own MAC, the tap's rules let nothing of it pass.
    const [setUpMs] = await Promise.all([
      vm.agent
        .request(op, { pod: { ...guestPod(pod, interfaces, dnsForward), ...hostLoopback } })
        .then(since),
      ...attached.map((endpoint) => attachNic(this.#context.networks, vm, endpoint)),
    ]);
    log.debug('pod is set up', { podId: pod.id, setUpMs, networkMs: since() });
  }

  #adopt(
    podId: string,
    vm: Vm,
    members: readonly ContainerDisks[],
    ready: Promise<void>,
    endpoints: readonly AttachedEndpoint[] | undefined,
    handOver?: HandOver,
    containers = new Map<string, RunningContainer>(),
  ): RunningPod {
    let stopListening = (): void => undefined;
    const pod: RunningPod = {
      id: podId,
      vm,
      ownsEndpoints: endpoints !== undefined,
      endpoints: [...(endpoints ?? [])],
      stopListening: () => stopListening(),
      containers,
      members: new Map(members.map((disks) => [disks.containerId, disks])),
      exitListeners: new Map(),
      disks: new OperationQueue(),
      cpus: new OperationQueue(),
      ready,
      ...(handOver === undefined ? {} : { handOver }),
    };
    this.#places.set(pod, { kind: 'Running' });
    stopListening = vm.agent.onEvent((event, ack) => {
      const isExit = event.event === 'exit';
      const expected = isExit ? pod.exitListeners.get(event.id) : undefined;
      if (expected === undefined) {
        this.#handlers.onEvent(pod, event, ack);
        return;
      }
      ack();
      if (isExit) expected(event.status);
    });
    vm.agent.onTunnel((tunnel) => this.#handlers.onTunnel(pod, tunnel));
    void vm.ended.then((end) => {
      // It was asked for, or the Pod has left it.
      if (!this.isUp(pod)) return;
      this.#step(pod, { kind: 'lost' });
      void this.#releaseEndpoints(pod);
      this.#handlers.onLost(pod, end);
    });
    return pod;
  }
}

/** SIGKILL, and until the guest has told of the exit. Never throws. */
async function endProcess(pod: RunningPod, containerId: string): Promise<void> {
  const exited = new Promise<void>((resolve) => {
    pod.exitListeners.set(containerId, () => resolve());
  });
  try {
    await pod.vm.agent.request('container.signal', { id: containerId, signal: sigkill, all: true });
    await settlesWithin(exited, killTimeoutMs, pod.vm.agent.clock);
  } catch (error) {
    // The common case: the start failed in the guest, which has left nothing.
    log.debug('container of a failed start', { containerId, error });
  } finally {
    pod.exitListeners.delete(containerId);
  }
}
