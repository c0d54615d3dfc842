// A Pod on its VM, as everything that works on one sees it: its containers, their disks, its endpoints and their NICs.

import type { OperationQueue } from '../../async/operation-queue';
import type { Endpoint, NetworkManager } from '../../network/network';
import type { PodInterface } from '../../translate/pod-to-guest';
import type { ContainerDisks } from '../../translate/pod-to-vm';
import type { ExitStatus } from '../../vm/contract/protocol';
import type { Vm } from '../../vm/contract/vm';
import type { ContainerLogWriter } from '../core/container-log';
import type { ProcessStdio } from '../streams/stdio';

/** A container that runs in a Pod, as long as the daemon lives. */
export interface RunningContainer {
  stdio: ProcessStdio;
  writer: ContainerLogWriter;
}

/** A Pod on its VM. One Pod may be on two for a while: what had joined a container stays when that one starts anew. */
export interface RunningPod {
  readonly id: string;
  readonly vm: Vm;
  /** Streams of the containers that run. */
  readonly containers: Map<string, RunningContainer>;
  /** Every container that runs or is being started, with the disks it uses. The VM is ended with the last. */
  readonly members: Map<string, ContainerDisks>;
  /**
   * Told, instead of anyone else, of the exit of a container whose start has failed, or that no record knows: a build's step, and what
   * runs in it beside.
   */
  readonly exitListeners: Map<string, (status: ExitStatus) => void>;
  /** No more of the VM's events are this Pod's. */
  readonly stopListening: () => void;
  /** Plugging and unplugging, one behind the other. */
  readonly disks: OperationQueue;
  /** What stops the vCPUs for a while, as a checkpoint does, and what can't be done then. */
  readonly cpus: OperationQueue;
  /** Whose the endpoints are: the Pod's own are given back with its VM, others with the container that brought them. */
  readonly ownsEndpoints: boolean;
  /** Of a Pod that has its own. */
  readonly endpoints: AttachedEndpoint[];
  /** The guest has made the namespaces and interfaces; rejects when it could not. */
  readonly ready: Promise<void>;
  /** What the Pod that had the VM before has left in it. */
  readonly handOver?: Inherited;
}

/** What the Pod before has left in a VM that another one has now. */
export interface Inherited {
  /** Once the guest was asked for the next Pod; later calls join the first. The VM is ended if it fails. Never rejects. */
  takeOut(now: RunningPod): Promise<void>;
}

/** How a container is taken out of its Pod. */
export interface LeaveOptions {
  /** What it wrote is brought to its disk first. */
  keepData: boolean;
  /** If it is the Pod's last, the VM is Idle afterwards, for whoever places a Pod there; ended if that fails. */
  keepVm?: boolean;
  /** Disks that aren't its alone stay plugged, for containers that come. */
  keepShared?: boolean;
}

/** An endpoint and the NIC that carries it. */
export interface AttachedEndpoint {
  networkName: string;
  endpoint: Endpoint;
  nic: number;
}

/** Interfaces are named by their NIC, so that a name is free again when its NIC is; on the host's network as the host's. */
export function podInterface({ endpoint, nic }: AttachedEndpoint): PodInterface {
  return {
    nic,
    name:
      endpoint.host === undefined || endpoint.host.interfaceName === ''
        ? `eth${String(nic)}`
        : endpoint.host.interfaceName,
    mac: endpoint.macAddress,
    ipv4Address: endpoint.ipv4Address,
    ipv4PrefixLength: endpoint.ipv4PrefixLength,
    ipv4Gateway: endpoint.ipv4Gateway,
    ipv6Address: endpoint.ipv6Address,
    ipv6PrefixLength: endpoint.ipv6PrefixLength,
    ipv6Gateway: endpoint.ipv6Gateway,
    linkLocalIps: endpoint.wanted?.linkLocalIps ?? [],
    mtu: endpoint.mtu,
  };
}

/** Call it after the guest has set the NIC's MAC. */
export async function attachNic(
  networks: Pick<NetworkManager, 'attach'>,
  vm: Vm,
  { endpoint, nic }: AttachedEndpoint,
): Promise<void> {
  const tap = vm.nics[nic];
  if (tap === undefined) throw new RangeError(`VM ${vm.id} has no NIC ${String(nic)}`);
  await networks.attach(endpoint, tap.tapName);
}
