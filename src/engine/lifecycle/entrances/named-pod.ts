// The way into a Pod with a name: whoever comes first takes its VM. Its endpoints are the Pod's own.

import type { Gates } from '../../../async/gates';
import type { Announcer } from '../../../semantics/events/event-publisher';
import {
  allocateEndpoints,
  dnsForwarders,
  publishNetworkEvents,
  releaseEndpoints,
} from '../../networks/container-network';
import { extendEndpoints, podEndpointRequest, type PodNetworkNeeds } from '../../networks/pod-networks';
import type { Pods } from '../../vms/pods';
import type { AttachedEndpoint, RunningPod } from '../../vms/running-pod';
import type { Entered } from './entrance';
import { FreshStart, type FreshStartNeeds } from './fresh-start';

export type NamedPodNeeds = FreshStartNeeds &
  PodNetworkNeeds &
  Announcer & {
    readonly pods: Pick<Pods, 'settled' | 'find' | 'join' | 'run' | 'abandon'>;
    readonly podGates: Gates;
  };

export class NamedPod extends FreshStart<NamedPodNeeds> {
  enter(): Promise<Entered> {
    const { podGates, pods } = this.needs;
    const { id } = this.arrival.pod;
    return podGates.of(id).run(async () => {
      // The Pod's endpoints are given back with its end.
      await pods.settled(id);
      const running = pods.find(id);
      return running === undefined ? this.#first() : this.#another(running);
    });
  }

  async #first(): Promise<Entered> {
    const { record, pod, disks } = this.arrival;
    const endpoints = allocateEndpoints(this.needs, record, (network) =>
      podEndpointRequest(this.needs, record, network),
    );
    // A failure before anyone awaits them must not count as unhandled.
    endpoints.catch(() => undefined);
    this.#tellWhenUndone(endpoints);
    try {
      const options = { ownsEndpoints: true };
      const running = await this.needs.pods.run(pod, [disks], endpoints, dnsForwarders, options);
      this.#leaveWhenUndone(running.pod);
      const attached = await endpoints;
      return { ...running, attached, reachedAt: attached };
    } catch (error) {
      // Still in the gate: from now on they would be the Pod's.
      await releaseEndpoints(this.needs, pod.id, await endpoints.catch(() => []));
      throw error;
    }
  }

  async #another(pod: RunningPod): Promise<Entered> {
    const { record, disks } = this.arrival;
    const luns = await this.needs.pods.join(pod, disks);
    this.#leaveWhenUndone(pod);
    const attached = await extendEndpoints(this.needs, pod, record);
    this.#tellWhenUndone(Promise.resolve(attached));
    return { pod, luns, ready: pod.ready, attached, reachedAt: attached };
  }

  #leaveWhenUndone(pod: RunningPod): void {
    const { record, taken } = this.arrival;
    taken.inVm.push('container stays in its VM', () => this.needs.pods.abandon(pod, record.id));
  }

  /** The endpoints go with the Pod. Docker tells of both, as it connects before it makes the process. */
  #tellWhenUndone(endpoints: Promise<AttachedEndpoint[]>): void {
    const { record, taken } = this.arrival;
    taken.onHost.push('network events could not be told', async () => {
      const attached = await endpoints.catch(() => []);
      publishNetworkEvents(this.needs, record, attached, 'connect');
      publishNetworkEvents(this.needs, record, attached, 'disconnect');
    });
  }
}
