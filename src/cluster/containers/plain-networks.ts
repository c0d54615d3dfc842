// Networks of a cluster that has no boundaries between them: every container has its Pod's address, whatever it is on.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import type { ContainerNetwork } from '../../semantics/containers/container-record';
import type { Attachment, ContainerNetworks } from '../contract/areas';
import type { ClusterRecord, PodFacts } from '../contract/cluster-record';
import type { PodParts } from '../contract/pod-parts';

export class PlainNetworks implements ContainerNetworks {
  requested(
    mode: string,
    endpoints: Parameters<ContainerNetworks['requested']>[1],
  ): Promise<Record<string, ContainerNetwork>> {
    const networks: Record<string, ContainerNetwork> = {};
    for (const [name, requested] of Object.entries(endpoints)) {
      networks[name === 'default' ? 'bridge' : name] = { networkId: '', requested: requested ?? {} };
    }
    const main = mode === 'default' ? 'bridge' : mode;
    if (Object.keys(networks).length === 0) networks[main] = { networkId: '', requested: {} };
    return Promise.resolve(networks);
  }

  podParts({ hostConfig }: ClusterRecord): Promise<PodParts> {
    if (Object.keys(hostConfig.PortBindings ?? {}).length > 0) {
      const refused = 'published ports are not supported by this build of the Kubernetes backend';
      return Promise.reject(new DaemonError('NotImplemented', refused));
    }
    return Promise.resolve({});
  }

  attach(record: ClusterRecord, pod: PodFacts): Promise<Attachment> {
    const networks = Object.entries(record.networks).map(([name, network]): [string, ContainerNetwork] => {
      const networkId = createHash('sha256').update(name).digest('hex');
      const endpoint = {
        id: createHash('sha256').update(`${record.id} ${name}`).digest('hex'),
        networkId,
        networkName: name,
        containerId: record.id,
        macAddress: '',
        ipv4Address: pod.address,
        ipv4PrefixLength: 32,
        ipv4Gateway: '',
        ipv6Address: '',
        ipv6PrefixLength: 0,
        ipv6Gateway: '',
        mtu: 0,
        dnsServers: [],
        aliases: [],
      };
      return [name, { ...network, networkId, endpoint }];
    });
    return Promise.resolve({ networks: Object.fromEntries(networks), publishedPorts: [] });
  }

  detach(record: ClusterRecord): Promise<Attachment> {
    const networks = Object.entries(record.networks).map(([name, { networkId, requested }]) => [
      name,
      { networkId, requested },
    ]);
    return Promise.resolve({
      networks: Object.fromEntries(networks) as Record<string, ContainerNetwork>, // as they were, without endpoints
      publishedPorts: [],
    });
  }

  removed(): Promise<void> {
    return Promise.resolve();
  }
}
