// What the ways in have in common on which a process is made anew, wherever its VM comes from.

import type { Config } from '../../../config';
import type { Agent } from '../../../vm/contract/agent';
import type { ContainerRecord } from '../../../semantics/containers/container-record';
import type { RunFacts } from '../../../semantics/containers/container-state';
import { neverTimestamp } from '../../../go/timestamp';
import { fillNothing, prepareShares, type PreparedShares } from '../../mounts/container-shares';
import { fillingTimeoutMs, ShareFilling, type VolumeUsers } from '../../mounts/share-filling';
import { apiSocketPath } from '../../../config';
import { networkFiles, type NetworkFileSources } from '../../networks/container-network';
import { withPodHostname } from '../../vms/named-pods';
import type { AttachedEndpoint, RunningPod } from '../../vms/running-pod';
import type { SocketTunnels } from '../../vms/socket-tunnels';
import type { Arrival, Beginning, Entered, Entrance, Shared, Surroundings } from './entrance';

/** Where the volumes are, and who is let to the host's sockets. */
export type ShareNeeds = VolumeUsers & { readonly sockets: Pick<SocketTunnels, 'allow'> };

export type FreshStartNeeds = ShareNeeds &
  NetworkFileSources & { readonly config: Pick<Config, 'hosts' | 'containerDefaults'> };

export abstract class FreshStart<Needs extends FreshStartNeeds> implements Entrance {
  protected readonly needs: Needs;
  protected readonly arrival: Arrival;

  constructor(needs: Needs, arrival: Arrival) {
    this.needs = needs;
    this.arrival = arrival;
  }

  abstract enter(): Promise<Entered>;

  /** Has the VM's file server serve the container's binds and volumes, and the guest listen for connections to sockets. */
  async share({ vm }: RunningPod): Promise<Shared> {
    const { volumes, config } = this.needs;
    const prepared = await prepareShares(volumes, this.arrival.record, apiSocketPath(config.hosts));
    const filling = await beginFilling(this.needs, this.arrival, prepared);
    if (filling.shares.length > 0) await vm.shareFiles(filling.shares);
    await Promise.all(prepared.sockets.map((socket) => vm.agent.request('tunnel.listen', { ...socket })));
    return { filling, sockets: prepared.socketTargets };
  }

  channels(agent: Agent): RunFacts['channels'] {
    const { openStdin, terminal } = this.arrival.spec.process;
    return {
      ...(openStdin ? { stdin: agent.allocateChannel() } : {}),
      stdout: agent.allocateChannel(),
      ...(terminal ? {} : { stderr: agent.allocateChannel() }),
    };
  }

  surroundings(attached: readonly AttachedEndpoint[]): Surroundings {
    const { container, spec } = this.arrival;
    const files = networkFiles(this.needs, withPodHostname(container.record), attached);
    return { files, sysctls: spec.sysctls, ownNetwork: false };
  }

  begin({ entered: { pod }, filling, request }: Beginning): Promise<{ pid: number }> {
    const options = filling.fills ? { timeoutMs: fillingTimeoutMs } : {};
    return filling.during(pod.vm, pod.vm.agent.request('container.start', request(), options));
  }

  recorded(): Partial<Pick<ContainerRecord, 'config'>> {
    return {};
  }

  async keep(): Promise<void> {
    // Nothing is kept for a failure.
  }
}

/** Waits for other starts that fill the same volumes. */
export async function beginFilling(
  needs: ShareNeeds,
  { record, taken }: Arrival,
  prepared: PreparedShares,
): Promise<ShareFilling> {
  // What was emptied since its first start stays empty, as with dockerd.
  if (record.state.startedAt !== neverTimestamp) fillNothing(prepared);
  const filling = await ShareFilling.begin(needs, prepared);
  taken.onHost.push('volume could not be emptied', () => filling.abandon());
  needs.sockets.allow(record.id, prepared.socketTargets);
  return filling;
}
