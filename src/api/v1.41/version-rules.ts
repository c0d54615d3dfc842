// Members of requests, by version. To a request of an older version those that came later are unknown, and dropped as
// dockerd drops what it doesn't know; where that would do harm, refused. What they meant before is filled in.

import { DaemonError } from '../../errors';
import type { ApiVersion } from './backend';
import type {
  ContainerCreateBody,
  EndpointSettings,
  ExecCreateBody,
  ExecStartBody,
  HostConfig,
  Mount,
} from '../../docker/types';

/** Drops from `body`, in place, what API `version` has not got. Throws InvalidParameter for a volume's subpath before 1.45, NotImplemented for a priority of gateways. */
export function applyVersionToCreate(body: ContainerCreateBody, { major, minor }: ApiVersion): void {
  const before = (since: number) => major === 1 && minor < since;
  const { HostConfig: hostConfig, Healthcheck: healthcheck, NetworkingConfig: networking } = body;
  if (hostConfig !== undefined && hostConfig !== null) applyOldDefaults(hostConfig, before);
  if (before(43)) delete hostConfig?.Annotations;
  if (before(44)) delete healthcheck?.StartInterval;
  for (const endpoint of Object.values(networking?.EndpointsConfig ?? {})) {
    if (before(48)) delete endpoint?.GwPriority;
    requireNoGatewayPriority(endpoint);
  }
  for (const mount of mountsOf(hostConfig)) applyVersionToMount(mount, before);
}

/** Throws NotImplemented: which network has the default route is decided as before API 1.48. */
export function requireNoGatewayPriority(endpoint: EndpointSettings | null | undefined): void {
  if ((endpoint?.GwPriority ?? 0) === 0) return;
  throw new DaemonError('NotImplemented', 'GwPriority is not available: leave it out');
}

/** The kernel's range. */
const leastCpuShares = 2;
const mostCpuShares = 262_144;

/** What 20.10 makes of a HostConfig for clients of before API 1.40; old-versions.ts has the other rules. */
function applyOldDefaults(hostConfig: HostConfig, before: (since: number) => boolean): void {
  const { CpuShares: shares = 0 } = hostConfig;
  if (before(19) && shares > 0) {
    hostConfig.CpuShares = Math.min(Math.max(shares, leastCpuShares), mostCpuShares);
  }
  // the client does it
  if (before(25)) hostConfig.AutoRemove = false;
  if (!before(40)) return;
  delete hostConfig.KernelMemoryTCP;
  if ((hostConfig.IpcMode ?? '') === '') hostConfig.IpcMode = 'shareable';
}

function applyVersionToMount(mount: Mount, before: (since: number) => boolean): void {
  const { BindOptions: bind, VolumeOptions: volume, TmpfsOptions: tmpfs } = mount;
  if (before(40)) delete bind?.NonRecursive;
  if (before(42)) delete bind?.CreateMountpoint;
  if (before(44)) {
    delete bind?.ReadOnlyNonRecursive;
    delete bind?.ReadOnlyForceRecursive;
  }
  if (before(45) && (volume?.Subpath ?? '') !== '') {
    // without it the container would see the whole volume
    throw new DaemonError('InvalidParameter', 'VolumeOptions.Subpath needs API version 1.45 or newer');
  }
  if (before(46)) delete tmpfs?.Options;
}

function mountsOf(hostConfig: HostConfig | null | undefined): Mount[] {
  return hostConfig?.Mounts ?? [];
}

/** Exec knows the size of its terminal since 1.42. */
export function applyVersionToExec(body: ExecCreateBody | ExecStartBody, { major, minor }: ApiVersion): void {
  if (major === 1 && minor < 42) delete body.ConsoleSize;
}
