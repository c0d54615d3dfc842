// The Pods of builds that run, each on a VM of its own: what steps have in common (namespaces, an address, its NIC) is made once, and
// each step is a container that joins. A Pod serves one build, a step at a time, and its VM keeps the build's layers for the next one.

import { log } from '../../log';
import { newContainerId } from '../../semantics/containers/container-names';
import type { PodSpec } from '../../translate/pod';
import type { ContainerDisks } from '../../translate/pod-to-vm';
import type { VmResources } from '../../vm/contract/vm';
import type { Engine } from '../engine';
import type { AttachedEndpoint, RunningPod } from '../vms/running-pod';
import type { StepJournal } from './step-journal';

type BuildPodsEngine = Pick<Engine, 'networks' | 'pods'>;

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
  /** No other step comes: it ends with those that are in it. */
  isSpent: boolean;
  /** What was left of steps before is being taken out. Never rejects. */
  left: Promise<unknown>;
}

/** A step's place in a Pod. */
export interface Entered {
  readonly place: BuildPod;
  readonly luns: ReadonlyMap<string, number>;
  /** The guest has made what the Pod's containers share. */
  readonly ready: Promise<void>;
}

export class BuildPods {
  readonly #engine: BuildPodsEngine;
  readonly #journal: StepJournal;
  readonly #byBuild = new Map<string, Set<BuildPod>>();

  constructor(engine: BuildPodsEngine, journal: StepJournal) {
    this.#engine = engine;
    this.#journal = journal;
  }

  /** A Pod of the build's that is free and has enough, or another one made after `spec`; the step is in it until `leave`. */
  async enter(wish: PodWish, spec: PodSpec, disks: ContainerDisks, signal: AbortSignal): Promise<Entered> {
    for (;;) {
      signal.throwIfAborted();
      const place = wish.alone ? undefined : this.#claim(wish, spec);
      if (place === undefined) return this.#make(wish, spec, disks);
      place.steps.add(disks.containerId);
      try {
        const luns = await this.#engine.pods.join(place.pod, disks);
        void this.#unplugStale(place);
        return { place, luns, ready: Promise.resolve() };
      } catch (error) {
        const wasLost = !this.#engine.pods.isUp(place.pod);
        await this.leave(place, disks.containerId, { goesOn: false, giveBack: () => Promise.resolve() });
        if (!wasLost) throw error;
      }
    }
  }

  /**
   * A step is over, or was given up; unless the Pod `goesOn` no other comes to it. `giveBack` is called when nothing of the step is in a
   * VM any more; neither it nor this rejects.
   */
  async leave(
    place: BuildPod,
    stepId: string,
    { goesOn, giveBack }: { goesOn: boolean; giveBack: () => Promise<void> },
  ): Promise<void> {
    if (!goesOn) this.#spend(place);
    const out = this.#takeOut(place, stepId).then(giveBack);
    place.left = Promise.all([place.left, out]);
    place.steps.delete(stepId);
    await out;
    if (place.isSpent && place.steps.size === 0) await this.#end(place);
  }

  /** Ends all that the build has. Never rejects. */
  async end(buildId: string): Promise<void> {
    const places = [...(this.#byBuild.get(buildId) ?? [])];
    for (const place of places) this.#spend(place);
    await Promise.all(places.filter(({ steps }) => steps.size === 0).map((place) => this.#end(place)));
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#byBuild.keys()].map((buildId) => this.end(buildId)));
  }

  /** Never rejects. */
  async #takeOut(place: BuildPod, stepId: string): Promise<void> {
    const { pod } = place;
    if (await this.#engine.pods.leave(pod, stepId, { keepData: false, keepLayers: true })) return;
    // whoever has its disks next is to find them free
    this.#spend(place);
    await pod.vm
      .end()
      .catch((error: unknown) => log.error('VM of a build could not be ended', { vmId: pod.vm.id, error }));
  }

  /** The wished one if it can be. */
  #claim(
    { buildId, after }: PodWish,
    { memoryBytes = 0, cpus = 0 }: Partial<VmResources>,
  ): BuildPod | undefined {
    const free = [...(this.#byBuild.get(buildId) ?? [])].filter(
      ({ pod: { vm }, steps }) =>
        steps.size === 0 && vm.resources.memoryBytes >= memoryBytes && vm.resources.cpus >= cpus,
    );
    return free.find(({ pod }) => pod.vm.id === after) ?? free[0];
  }

  async #make(wish: PodWish, spec: PodSpec, disks: ContainerDisks): Promise<Entered> {
    const { pods } = this.#engine;
    const id = newContainerId();
    this.#journal.begin(id);
    const endpoints = this.#endpoints(id, wish);
    try {
      if (!wish.alone) pods.pin(id);
      const options = { ownsEndpoints: true };
      const entered = await pods.run({ ...spec, id }, [disks], endpoints, () => [], options);
      const place: BuildPod = {
        ...{ buildId: wish.buildId, pod: entered.pod, steps: new Set([disks.containerId]) },
        ...{ isSpent: wish.alone, left: Promise.resolve() },
      };
      if (!wish.alone) {
        const ofBuild = this.#byBuild.get(wish.buildId) ?? new Set();
        this.#byBuild.set(wish.buildId, ofBuild.add(place));
      }
      return { place, luns: entered.luns, ready: entered.ready };
    } catch (error) {
      await pods.unpin(id);
      await endpoints.catch(() => undefined); // none comes when they were given back
      await this.#journal.end(id);
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
    const ofBuild = this.#byBuild.get(place.buildId);
    ofBuild?.delete(place);
    if (ofBuild?.size === 0) this.#byBuild.delete(place.buildId);
  }

  /** Of one that is spent, with nobody in it. Never rejects. */
  async #end({ pod, left }: BuildPod): Promise<void> {
    await left;
    await this.#engine.pods.unpin(pod.id, { keepData: false });
    await this.#engine.pods.ended(pod.id);
    await this.#journal.end(pod.id);
  }
}
