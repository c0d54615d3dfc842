// The way into the VM of other containers, whose namespaces this one shares (`--network container:X`).

import { donorOf } from '../../../translate/container-to-pod';
import type { ContainerRecord } from '../../../semantics/containers/container-record';
import { filesOf, recordedEndpoints } from '../../networks/container-network';
import type { Pods } from '../../vms/pods';
import type { AttachedEndpoint } from '../../vms/running-pod';
import { networkOwner, type Joining } from './placement';
import type { Arrival, Entered, Surroundings } from './entrance';
import { FreshStart, type FreshStartNeeds } from './fresh-start';

export type JoinedNeeds = FreshStartNeeds & { readonly pods: Pick<Pods, 'join' | 'abandon'> };

export class Joined extends FreshStart<JoinedNeeds> {
  readonly #joining: Joining;

  constructor(needs: JoinedNeeds, arrival: Arrival, joining: Joining) {
    super(needs, arrival);
    this.#joining = joining;
  }

  /** What it joins has its endpoints already, and its namespaces. */
  async enter(): Promise<Entered> {
    const { pods } = this.needs;
    const { record, disks, taken } = this.arrival;
    const { pod } = this.#joining;
    const luns = await pods.join(pod, disks);
    taken.inVm.push('container stays in its VM', () => pods.abandon(pod, record.id));
    return { pod, luns, ready: Promise.resolve(), attached: [], reachedAt: this.#reachedAt() };
  }

  override surroundings(attached: readonly AttachedEndpoint[]): Surroundings {
    const { networkOf } = this.#joining;
    const { files } = super.surroundings(attached);
    const { pod, spec } = this.arrival;
    return {
      files: networkOf === undefined ? files : filesOf(files, networkOf.record),
      // Those of the Pod's namespaces, which others have made, too.
      sysctls: { ...pod.sysctls, ...spec.sysctls },
      ownNetwork: networkOf === undefined,
    };
  }

  /** As dockerd records it: a container that shares another's network has its name there too. */
  override recorded(): Partial<Pick<ContainerRecord, 'config'>> {
    const { networkOf } = this.#joining;
    const { record } = this.arrival.container;
    if (networkOf === undefined || donorOf(record.hostConfig.NetworkMode) === undefined) return {};
    const { Hostname, Domainname } = networkOf.record.config;
    return { config: { ...record.config, Hostname, Domainname } };
  }

  #reachedAt(): readonly AttachedEndpoint[] {
    const { networkOf } = this.#joining;
    if (networkOf === undefined) return [];
    return recordedEndpoints(networkOwner(this.needs.registry, networkOf).record);
  }
}
