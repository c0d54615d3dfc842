// Which of a container's networks has the default route and the published ports.

import type { AttachedEndpoint } from './running-pod';

/**
 * Docker's order: networks that lead out before internal ones, those with both families before those with one, then by
 * name. The first of it is the container's gateway network; a connect or disconnect may change it.
 */
export function gatewayOrder(endpoints: readonly AttachedEndpoint[]): AttachedEndpoint[] {
  return [...endpoints].sort((a, b) => weight(b) - weight(a) || compareNames(a.networkName, b.networkName));
}

/** The endpoint that published ports lead to; none of a container that is on internal networks only. */
export function gatewayEndpoint(endpoints: readonly AttachedEndpoint[]): AttachedEndpoint | undefined {
  const [first] = gatewayOrder(endpoints);
  return first === undefined || weight(first) === 0 ? undefined : first;
}

function weight({ endpoint }: AttachedEndpoint): number {
  if (endpoint.internal === true) return 0;
  return (endpoint.ipv4Gateway === '' ? 0 : 2) + (endpoint.ipv6Gateway === '' ? 0 : 1);
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
