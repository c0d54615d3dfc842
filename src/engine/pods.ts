// Pods that run: which VM each has, its endpoints, and the way back when any step fails.

import { DaemonError } from '../errors';
import { log } from '../log';
import type { Endpoint, NetworkManager } from '../network/network';
import type { PodSpec, PodState } from '../translate/pod';
import { guestPod, type PodInterface } from '../translate/pod-to-guest';
import { podToVm, type ContainerDisks, type VmPlan } from '../translate/pod-to-vm';
import type { AgentEvent } from '../vm/agent/protocol';
import type { Vm, VmEnd } from '../vm/vm';
import type { EngineContext } from './engine-context';
import type { ContainerLogWriter } from './container-log';
import { gatewayOrder } from './gateway-order';
import { nextPodState } from './pod-state';
import type { ProcessStdio } from './stdio';

/** How long the guest may take to write everything back before its VM is ended all the same. */
const shutdownTimeoutMs = 20_000;

/** A container that runs in a Pod, as long as the daemon lives. */
export interface RunningContainer {
  stdio: ProcessStdio;
  writer: ContainerLogWriter;
}

/** A Pod on its VM. */
export interface RunningPod {
  readonly id: string;
  readonly vm: Vm;
  readonly containers: Map<string, RunningContainer>;
}

/** An endpoint and the NIC that carries it. */
export interface AttachedEndpoint {
  networkName: string;
  endpoint: Endpoint;
  nic: number;
}

export interface PodHandlers {
  onEvent: (pod: RunningPod, event: AgentEvent, ack: () => void) => void;
  /** The VM is gone and nobody asked for it. */
  onLost: (pod: RunningPod, end: VmEnd) => void;
}

export class Pods {
  readonly #context: Pick<EngineContext, 'vms' | 'networks'>;
  readonly #handlers: PodHandlers;
  readonly #running = new Map<string, RunningPod>();

  constructor(context: Pick<EngineContext, 'vms' | 'networks'>, handlers: PodHandlers) {
    this.#context = context;
    this.#handlers = handlers;
  }

  find(podId: string): RunningPod | undefined {
    return this.#running.get(podId);
  }

  stateOf(podId: string): PodState {
    const pod = this.#running.get(podId);
    return pod === undefined ? { kind: 'Created' } : { kind: 'Running', vmId: pod.vm.id };
  }

  /** Takes a VM for the Pod, plugs its disks and has its namespaces and interfaces made. Undoes all when it throws. */
  async run(
    pod: PodSpec,
    disks: readonly ContainerDisks[],
    endpoints: Promise<AttachedEndpoint[]>,
    dnsForward: (endpoints: readonly AttachedEndpoint[]) => string[],
  ): Promise<{ pod: RunningPod; plan: VmPlan; luns: number[]; ready: Promise<void> }> {
    const plan = podToVm(pod, disks);
    if (nextPodState(this.stateOf(pod.id), { kind: 'run', vmId: '' }) === undefined) {
      throw new DaemonError('Conflict', `Pod ${pod.id} is running already`);
    }
    // Seen here even if the VM fails first: whoever made the promise releases the endpoints.
    endpoints.catch(() => undefined);
    const startedAt = performance.now();
    const vm = await this.#context.vms.acquire(pod.id, plan.resources);
    const acquiredMs = Math.round(performance.now() - startedAt);
    try {
      const lunsPromise = vm.plugDisks(plan.disks);
      lunsPromise.catch(() => undefined);
      const attached = await endpoints;
      const interfaces = gatewayOrder(attached).map(podInterface);
      // The answer is not awaited here: the guest works on it while QEMU plugs the disks.
      const ready = this.#setUp(vm, pod, attached, interfaces, dnsForward(attached));
      ready.catch(() => undefined);
      const luns = await lunsPromise;
      log.debug('pod has its VM', {
        podId: pod.id,
        vmId: vm.id,
        acquiredMs,
        pluggedMs: Math.round(performance.now() - startedAt),
      });
      return { pod: this.#adopt(pod.id, vm, new Map()), plan, luns, ready };
    } catch (error) {
      await vm.end();
      throw error;
    }
  }

  /** Takes up a Pod that an earlier daemon left running. Events that waited are handled at once. */
  adopt(podId: string, vm: Vm, containers: Map<string, RunningContainer>): RunningPod {
    return this.#adopt(podId, vm, containers);
  }

  /** Ends the Pod's VM. `keepData`: what its containers wrote is brought to their disks first. Never throws. */
  async stop(pod: RunningPod, options: { keepData: boolean }): Promise<void> {
    this.#running.delete(pod.id);
    if (options.keepData) {
      try {
        await pod.vm.agent.request('shutdown', {}, { timeoutMs: shutdownTimeoutMs });
      } catch (error) {
        log.warn('guest did not shut down in order', { podId: pod.id, vmId: pod.vm.id, error });
      }
    }
    try {
      await pod.vm.end();
    } catch (error) {
      log.error('VM could not be ended', { podId: pod.id, vmId: pod.vm.id, error });
    }
  }

  /** Without its VM: the daemon ends and leaves it to the next one. */
  forget(pod: RunningPod): void {
    this.#running.delete(pod.id);
  }

  async #setUp(
    vm: Vm,
    pod: PodSpec,
    attached: readonly AttachedEndpoint[],
    interfaces: readonly PodInterface[],
    dnsForward: string[],
  ): Promise<void> {
    const startedAt = performance.now();
    const since = (): number => Math.round(performance.now() - startedAt);
    // Side by side: until the guest has given a NIC its own MAC, the tap's rules let nothing of it pass.
    const [setUpMs] = await Promise.all([
      vm.agent.request('pod.setup', { pod: guestPod(pod, interfaces, dnsForward) }).then(since),
      ...attached.map((endpoint) => attachNic(this.#context.networks, vm, endpoint)),
    ]);
    log.debug('pod is set up', { podId: pod.id, setUpMs, networkMs: since() });
  }

  #adopt(podId: string, vm: Vm, containers: Map<string, RunningContainer>): RunningPod {
    const pod: RunningPod = { id: podId, vm, containers };
    this.#running.set(podId, pod);
    vm.agent.onEvent((event, ack) => this.#handlers.onEvent(pod, event, ack));
    void vm.ended.then((end) => {
      if (this.#running.get(podId) !== pod) return;
      this.#running.delete(podId);
      this.#handlers.onLost(pod, end);
    });
    return pod;
  }
}

/** Interfaces are named by their NIC, so that a name is free again when its NIC is. */
export function podInterface({ endpoint, nic }: AttachedEndpoint): PodInterface {
  return {
    nic,
    name: `eth${String(nic)}`,
    mac: endpoint.macAddress,
    ipv4Address: endpoint.ipv4Address,
    ipv4PrefixLength: endpoint.ipv4PrefixLength,
    ipv4Gateway: endpoint.ipv4Gateway,
    ipv6Address: endpoint.ipv6Address,
    ipv6PrefixLength: endpoint.ipv6PrefixLength,
    ipv6Gateway: endpoint.ipv6Gateway,
    mtu: endpoint.mtu,
  };
}

/** Call it after the guest has set the NIC's MAC. */
export async function attachNic(
  networks: NetworkManager,
  vm: Vm,
  { endpoint, nic }: AttachedEndpoint,
): Promise<void> {
  const tap = vm.nics[nic];
  if (tap === undefined) throw new RangeError(`VM ${vm.id} has no NIC ${String(nic)}`);
  await networks.attach(endpoint, tap.tapName);
}
