// The common way in: a VM of its own, with endpoints of its own.

import type { RestoreSource, SavedVm } from '../../../vm/contract/vm';
import type { Announcer } from '../../../semantics/events/event-publisher';
import {
  allocateEndpoints,
  dnsForwarders,
  publishNetworkEvents,
  releaseEndpoints,
  type NetworkLayer,
} from '../../networks/container-network';
import type { Pods } from '../../vms/pods';
import type { Arrival, Entered } from './entrance';
import { FreshStart, type FreshStartNeeds } from './fresh-start';

export type OwnVmNeeds = NetworkLayer & Announcer & { readonly pods: Pick<Pods, 'run' | 'abandon'> };

export class OwnVm extends FreshStart<FreshStartNeeds & OwnVmNeeds> {
  enter(): Promise<Entered> {
    return enterOwnVm(this.needs, this.arrival);
  }
}

/** With `saved` the VM is one that goes on where it was saved. */
export async function enterOwnVm(
  needs: OwnVmNeeds,
  { record, pod, disks, taken }: Arrival,
  options: { saved?: { vm: SavedVm; source: RestoreSource } } = {},
): Promise<Entered> {
  const endpoints = allocateEndpoints(needs, record);
  // A failure before anyone awaits them must not count as unhandled.
  endpoints.catch(() => undefined);
  taken.onHost.push('endpoints could not be released', async () => {
    const attached = await endpoints.catch(() => []);
    // Docker tells of both, as it connects before it makes the process.
    publishNetworkEvents(needs, record, attached, 'connect');
    publishNetworkEvents(needs, record, attached, 'disconnect');
    await releaseEndpoints(needs, record.id, attached);
  });
  const running = await needs.pods.run(pod, [disks], endpoints, dnsForwarders, options);
  taken.inVm.push('container stays in its VM', () => needs.pods.abandon(running.pod, record.id));
  const attached = await endpoints;
  return { ...running, attached, reachedAt: attached };
}
