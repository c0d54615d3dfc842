// Interfaces that come to a VM's Pod, or leave it, while it runs: the guest's side, the host's, and the default routes.

import { log } from '../../log';
import { defaultRoutes, guestInterface } from '../../translate/pod-to-guest';
import { gatewayOrder } from '../vms/gateway-order';
import { attachNic, podInterface, type AttachedEndpoint, type RunningPod } from '../vms/running-pod';
import type { NetworkLayer } from './container-network';

/** The endpoint is in use when this resolves. Throws what the guest or the network refuses: `unplugInterfaces` tidies up then. */
export async function plugInterface(
  engine: NetworkLayer,
  pod: RunningPod,
  before: readonly AttachedEndpoint[],
  added: AttachedEndpoint,
): Promise<void> {
  await pod.vm.agent.request('pod.interface.add', {
    interface: guestInterface(podInterface(added)),
    routes: changedRoutes(before, [...before, added]),
  });
  await attachNic(engine.networks, pod.vm, added);
}

/** Every step is tried. Never rejects. */
export async function unplugInterfaces(
  engine: NetworkLayer,
  pod: RunningPod,
  gone: readonly { nic: number }[],
): Promise<void> {
  for (const { nic } of gone) {
    const warn = (error: unknown): void =>
      log.warn('an interface could not be taken off', { vmId: pod.vm.id, nic, error });
    const tap = pod.vm.nics[nic];
    if (tap !== undefined) await engine.networks.detach(tap.tapName).catch(warn);
    await pod.vm.agent.request('pod.interface.remove', { nic }).catch(warn);
  }
}

/** Sets the default routes of the endpoints that are left, if they are not those of before. */
export async function renewRoutes(
  pod: RunningPod,
  before: readonly AttachedEndpoint[],
  after: readonly AttachedEndpoint[],
): Promise<void> {
  const [next] = gatewayOrder(after);
  const routes = changedRoutes(before, after);
  if (next === undefined || routes.length === 0) return;
  await pod.vm.agent.request('pod.interface.add', { interface: guestInterface(podInterface(next)), routes });
}

/** Default routes of the endpoints, if they are not those of before. */
function changedRoutes(
  before: readonly AttachedEndpoint[],
  after: readonly AttachedEndpoint[],
): ReturnType<typeof defaultRoutes> {
  const routes = (endpoints: readonly AttachedEndpoint[]): ReturnType<typeof defaultRoutes> =>
    defaultRoutes(gatewayOrder(endpoints).map(podInterface));
  const wanted = routes(after);
  return JSON.stringify(wanted) === JSON.stringify(routes(before)) ? [] : wanted;
}
