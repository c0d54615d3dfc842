// The Pods of builds that run, each on a VM of its own: what steps have in common (namespaces, an address, its NIC) is made once, and
// each step is a container that joins. A Pod serves one build, a step at a time, and its VM keeps the build's layers for the next one.

import { unlessAborted } from '../../async/deadline';
import { log } from '../../log';
import { newContainerId } from '../../semantics/containers/container-names';
import type { PodSpec } from '../../translate/pod';
import type { ContainerDisks } from '../../translate/pod-to-vm';
import type { VmResources } from '../../vm/contract/vm';
import type { Engine } from '../engine';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import type { StepJournal } from './step-journal';

type BuildPodsEngine = Pick<Engine, 'config' | 'disks' | 'networks' | 'pods'>;

/** What steps have left on the disk of their Pod: with more no other comes to it. Deleting it would take longer than another VM. */
const spentBytes = 2 ** 30;

/** Where Pods have their addresses from. */
const networkName = 'bridge';

/** What of a step says which Pod it may have. */
export interface PodWish {
  readonly buildId: string;
  /** Of the VM in which it is rather than in another; '' for any. */
  readonly after: string;
  /** One of its own, which ends with it. */
  readonly alone: boolean;
  /** Of one that is alone: others may join its Pod. */
  readonly network: 'sandbox' | 'host' | 'none';
}

/** A Pod that a build has, busy or not. */
export interface BuildPod {
  readonly buildId: string;
  readonly pod: RunningPod;
  /** Ids of the steps that are in it. */
  readonly steps: Set<string>;
  /** Disks of caches that are plugged there, by the steps that have or had them. */
  readonly disks: Map<string, readonly string[]>;
  /** No other step comes: it ends with those that are in it. */
  isSpent: boolean;
  /** What was left of steps before is being taken out. Never rejects. */
  left: Promise<unknown>;
}

/** Of a step: what it changes lies on a disk of its Pod. */
export type StepDisks = Omit<ContainerDisks, 'writablePath' | 'writableId'>;

/** A step's place in a Pod. */
export interface Entered {
  readonly place: BuildPod;
  readonly disks: ContainerDisks;
  readonly luns: ReadonlyMap<string, number>;
  /** The guest has made what the Pod's containers share. */
  readonly ready: Promise<void>;
}

export class BuildPods {
  readonly #engine: BuildPodsEngine;
  readonly #journal: StepJournal;
  readonly #places = new Set<BuildPod>();
  /** Disks of caches whose steps are on their way into a Pod. */
  readonly #arriving = new Set<string>();
  /** By build: a Pod that is made before there is a step for it. Never rejects. */
  readonly #expected = new Map<string, Promise<void>>();
  #changed: Promise<void> = Promise.resolve();
  #tellChange = (): void => undefined;

  constructor(engine: BuildPodsEngine, journal: StepJournal) {
    this.#engine = engine;
    this.#journal = journal;
    this.#change();
  }

  /** Makes a Pod for the build's first step if it has none: what that takes is done while the step's files are made. */
  expect(buildId: string, spec: PodSpec): void {
    if (this.#expected.has(buildId) || this.#of(buildId).length > 0) return;
    const wish: PodWish = { buildId, after: '', alone: false, network: 'sandbox' };
    const made = this.#make(wish, spec, undefined)
      .then(({ ready }) => ready)
      .catch((error: unknown) => log.debug('no VM is ready for a step', { buildId, error }))
      .finally(() => this.#expected.delete(buildId));
    this.#expected.set(buildId, made);
  }

  /**
   * A Pod of the build's that is free and has enough, or another one made after `spec`; the step is in it until `leave`. With the disk of
   * a cache that another step of the build has it is that one's Pod: both see one file system.
   */
  async enter(wish: PodWish, spec: PodSpec, disks: StepDisks, signal: AbortSignal): Promise<Entered> {
    const own = (disks.trees ?? []).flatMap(({ ownPath }) => ownPath ?? []);
    for (;;) {
      signal.throwIfAborted();
      const changed = this.#changed;
      const [holder, ...more] = this.#holders(wish.buildId, own);
      // they are in one Pod, or it is waited until they are
      if (more.length > 0 || holder?.isSpent === true || own.some((path) => this.#arriving.has(path))) {
        await unlessAborted(changed, signal);
        continue;
      }
      for (const path of own) this.#arriving.add(path);
      try {
        const entered = await this.#enter(wish, spec, disks, holder);
        if (own.length > 0) entered?.place.disks.set(disks.containerId, own);
        if (entered !== undefined) return entered;
      } finally {
        for (const path of own) this.#arriving.delete(path);
        this.#change();
      }
    }
  }

  /** Undefined: the Pod has come to its end meanwhile. */
  async #enter(
    wish: PodWish,
    spec: PodSpec,
    disks: StepDisks,
    holder: BuildPod | undefined,
  ): Promise<Entered | undefined> {
    if (holder !== undefined) return this.#join(holder, disks);
    if (!wish.alone) {
      await this.#expected.get(wish.buildId);
      const place = this.#claim(wish, spec);
      if (place !== undefined) return this.#join(place, disks);
    }
    const made = await this.#make(wish, spec, disks);
    return { ...made, disks: this.#onDisk(made.place.pod.id, disks) };
  }

  /**
   * A step is over, or was given up; unless the Pod `goesOn` no other comes to it. `giveBack` is called when nothing of the step is in a
   * VM any more; neither it nor this rejects.
   */
  async leave(
    place: BuildPod,
    stepId: string,
    { goesOn, giveBack }: { goesOn: boolean; giveBack: () => void },
  ): Promise<void> {
    if (!goesOn) this.#spend(place);
    const out = this.#takeOut(place, stepId).then(giveBack);
    place.left = Promise.all([place.left, out]);
    place.steps.delete(stepId);
    await out;
    place.disks.delete(stepId);
    this.#change();
    if (place.isSpent && place.steps.size === 0) await this.#end(place);
  }

  /** Ends all that the build has. Never rejects. */
  async end(buildId: string): Promise<void> {
    await this.#expected.get(buildId);
    const places = this.#of(buildId);
    for (const place of places) this.#spend(place);
    await Promise.all(places.filter(({ steps }) => steps.size === 0).map((place) => this.#end(place)));
  }

  async endAll(): Promise<void> {
    const builds = new Set([...this.#expected.keys(), ...[...this.#places].map(({ buildId }) => buildId)]);
    await Promise.all([...builds].map((buildId) => this.end(buildId)));
  }

  /** Never rejects. */
  async #takeOut(place: BuildPod, stepId: string): Promise<void> {
    const { pod } = place;
    if (await this.#engine.pods.leave(pod, stepId, { keepData: false, keepShared: true })) {
      const { disks, config } = this.#engine;
      const left = await disks.usageBytes(pod.id).catch(() => 0);
      if (left > Math.min(spentBytes, config.writableDiskBytes / 4)) this.#spend(place);
      return;
    }
    // whoever has its disks next is to find them free
    this.#spend(place);
    await pod.vm
      .end()
      .catch((error: unknown) => log.error('VM of a build could not be ended', { vmId: pod.vm.id, error }));
  }

  #of(buildId: string): BuildPod[] {
    return [...this.#places].filter((place) => place.buildId === buildId);
  }

  /** The wished one if it can be. */
  #claim(
    { buildId, after }: PodWish,
    { memoryBytes = 0, cpus = 0 }: Partial<VmResources>,
  ): BuildPod | undefined {
    const free = this.#of(buildId).filter(
      ({ pod: { vm }, steps, isSpent }) =>
        !isSpent && steps.size === 0 && vm.resources.memoryBytes >= memoryBytes && vm.resources.cpus >= cpus,
    );
    return free.find(({ pod }) => pod.vm.id === after) ?? free[0];
  }

  /** Pods in which these disks are. */
  #holders(buildId: string, paths: readonly string[]): BuildPod[] {
    if (paths.length === 0) return [];
    return this.#of(buildId).filter(({ disks }) =>
      [...disks.values()].some((plugged) => plugged.some((path) => paths.includes(path))),
    );
  }

  /** Undefined: it has come to its end meanwhile. */
  async #join(place: BuildPod, stepDisks: StepDisks): Promise<Entered | undefined> {
    const disks = this.#onDisk(place.pod.id, stepDisks);
    place.steps.add(disks.containerId);
    try {
      const luns = await this.#engine.pods.join(place.pod, disks);
      void this.#unplugStale(place);
      return { place, disks, luns, ready: Promise.resolve() };
    } catch (error) {
      const wasLost = !this.#engine.pods.isUp(place.pod);
      await this.leave(place, disks.containerId, { goesOn: false, giveBack: () => undefined });
      if (wasLost) return undefined;
      throw error;
    }
  }

  #onDisk(podId: string, disks: StepDisks): ContainerDisks {
    return { ...disks, writablePath: this.#engine.disks.path(podId), writableId: podId };
  }

  /** With the step in it that has these disks, or with none. */
  async #make(wish: PodWish, spec: PodSpec, stepDisks?: StepDisks): Promise<Omit<Entered, 'disks'>> {
    const { pods, config } = this.#engine;
    const id = newContainerId();
    const disks = stepDisks === undefined ? [] : [this.#onDisk(id, stepDisks)];
    this.#journal.begin(id);
    const endpoints = this.#endpoints(id, wish);
    try {
      if (!wish.alone) pods.pin(id);
      const options = { ownsEndpoints: true };
      await this.#engine.disks.create(id, config.writableDiskBytes);
      const entered = await pods.run({ ...spec, id }, disks, endpoints, () => [], options);
      const place: BuildPod = {
        ...{
          buildId: wish.buildId,
          pod: entered.pod,
          steps: new Set(disks.map(({ containerId }) => containerId)),
        },
        ...{ disks: new Map(), isSpent: wish.alone, left: Promise.resolve() },
      };
      this.#places.add(place);
      return { place, luns: entered.luns, ready: entered.ready };
    } catch (error) {
      await pods.unpin(id);
      await endpoints.catch(() => undefined); // none comes when they were given back
      await this.#giveBack(id);
      throw error;
    }
  }

  /** Who has others beside or after it has the network that they may want. */
  async #endpoints(podId: string, { alone, network }: PodWish): Promise<AttachedEndpoint[]> {
    if (alone && network === 'none') return [];
    const { networks } = this.#engine;
    const endpoint = await networks.allocate({
      networkId: networks.resolve(networkName).id,
      containerId: podId,
      containerName: `buildkit-${podId.slice(0, 12)}`,
      aliases: [],
    });
    return [{ networkName, endpoint, nic: 0 }];
  }

  /** Layers of steps before that nobody has mounted, beside what the step does. */
  async #unplugStale({ pod, left }: BuildPod): Promise<void> {
    await left;
    await this.#engine.pods
      .unplugLayers(pod)
      .catch((error: unknown) => log.debug('layers stay plugged', { vmId: pod.vm.id, error }));
  }

  /** It ends as soon as nobody is in it. */
  #spend(place: BuildPod): void {
    place.isSpent = true;
    if (place.steps.size > 0) void this.#engine.pods.unpin(place.pod.id);
  }

  /** Of one that is spent, with nobody in it. Never rejects. */
  async #end(place: BuildPod): Promise<void> {
    const { pod } = place;
    await place.left;
    await this.#engine.pods.unpin(pod.id, { keepData: false });
    await this.#engine.pods.ended(pod.id);
    await this.#giveBack(pod.id);
    this.#places.delete(place);
  }

  /** What a Pod had of the host; it is on no VM any more. Never rejects. */
  async #giveBack(podId: string): Promise<void> {
    await this.#engine.disks
      .remove(podId)
      .catch((error: unknown) => log.error('disk of steps could not be removed', { podId, error }));
    await this.#journal.end(podId);
  }

  #change(): void {
    this.#tellChange();
    this.#changed = new Promise((resolve) => (this.#tellChange = resolve));
  }
}
