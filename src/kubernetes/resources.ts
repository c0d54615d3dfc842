// resources of a container: limits are cgroup limits, requests weights.

import type { HostConfig } from '../docker/types';
import { ManifestError } from './manifest-error';
import { parseBytes, parseMilliCpus, parseQuantity } from './quantity';
import type { Container, Resources } from './schema/container';

const known = new Set(['cpu', 'memory', 'ephemeral-storage']);
/** cgroup v1's weight of one CPU, which Docker's CpuShares still counts in. */
const sharesOfOneCpu = 1024;
const smallestShares = 2;

/** Throws ManifestError for a resource that there is not, and for a request above its limit. */
export function planResources(resources: Resources | undefined, path: string): Partial<HostConfig> {
  const { limits = {}, requests = {} } = resources ?? {};
  for (const [part, quantities] of Object.entries({ limits, requests })) {
    for (const name of Object.keys(quantities)) {
      if (!known.has(name))
        throw new ManifestError(`${path}.${part}["${name}"]: this machine has no such resource`);
    }
  }
  refuseAboveLimit(limits, requests, path);
  const config: Partial<HostConfig> = {};
  if (limits['memory'] !== undefined) config.Memory = parseBytes(limits['memory'], `${path}.limits.memory`);
  if (limits['cpu'] !== undefined)
    config.NanoCpus = parseMilliCpus(limits['cpu'], `${path}.limits.cpu`) * 1e6;
  if (limits['ephemeral-storage'] !== undefined) {
    const size = parseBytes(limits['ephemeral-storage'], `${path}.limits["ephemeral-storage"]`);
    config.StorageOpt = { size: String(size) };
  }
  if (requests['memory'] !== undefined) {
    config.MemoryReservation = parseBytes(requests['memory'], `${path}.requests.memory`);
  }
  if (requests['cpu'] !== undefined) {
    const shares = (parseMilliCpus(requests['cpu'], `${path}.requests.cpu`) * sharesOfOneCpu) / 1000;
    config.CpuShares = Math.max(smallestShares, Math.floor(shares));
  }
  return config;
}

type Quantities = Record<string, string | number>;

function refuseAboveLimit(limits: Quantities, requests: Quantities, path: string): void {
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name];
    if (limit === undefined) continue;
    if (parseQuantity(request, `${path}.requests.${name}`) > parseQuantity(limit, `${path}.limits.${name}`)) {
      throw new ManifestError(`${path}.requests.${name}: is more than the limit`);
    }
  }
}

/**
 * resourceFieldRef: a whole number of divisors, rounded up. Without a limit Kubernetes gives what the node has; a VM's
 * size is not known yet, so such a reference is refused.
 */
export function resourceValue(
  {
    containerName,
    resource,
    divisor = 1,
  }: { containerName?: string | undefined; resource: string; divisor?: string | number | undefined },
  own: Container,
  containers: readonly Container[],
  path: string,
): string {
  const container = containerName === undefined ? own : containers.find(({ name }) => name === containerName);
  if (container === undefined)
    throw new ManifestError(`${path}.containerName: no container "${containerName ?? ''}"`);
  const [part, name = ''] = splitOnce(resource);
  const quantities = part === 'limits' || part === 'requests' ? container.resources?.[part] : undefined;
  const quantity = quantities?.[name] ?? container.resources?.limits?.[name];
  if (quantity === undefined) throw new ManifestError(`${path}.resource: the container has no ${resource}`);
  const unit = parseQuantity(divisor, `${path}.divisor`);
  if (unit === 0) throw new ManifestError(`${path}.divisor: must not be 0`);
  return String(Math.ceil(parseQuantity(quantity, `${path}.resource`) / unit - 1e-9));
}

function splitOnce(text: string): [string, string?] {
  const dot = text.indexOf('.');
  return dot < 0 ? [text] : [text.slice(0, dot), text.slice(dot + 1)];
}
