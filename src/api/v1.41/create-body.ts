// The body of ContainerCreate as Go's runconfig reads it: the members of HostConfig may stand at the top, too, as they did
// before API 1.15 and as some SDKs still send them.

import { DaemonError } from '../../errors';
import type { ContainerCreateBody, HostConfig } from '../../docker/types';
import { configFields } from '../../docker/container-config-schema';
import { hostConfigFields } from '../../docker/host-config-schema';
import type { LooseCreateBody } from '../../docker/request-schemas';

const configFieldNames = Object.keys(configFields);
// the names of an object literal of ours
const hostConfigFieldNames = Object.keys(hostConfigFields) as (keyof HostConfig)[];

/**
 * One HostConfig from both places. With a HostConfig of its own the body's top counts only for five limits which that one
 * leaves unset. Throws InvalidParameter for a body without a Config.
 */
export function createBody(loose: LooseCreateBody): ContainerCreateBody {
  if (!configFieldNames.some((name) => name in loose)) {
    throw new DaemonError('InvalidParameter', 'Config cannot be empty in order to create a container');
  }
  const ofHost: readonly string[] = [...hostConfigFieldNames, 'Cpuset'];
  const body = Object.fromEntries(
    Object.entries(loose).filter(([name]) => !ofHost.includes(name)),
  ) as ContainerCreateBody; // what is left
  const hostConfig = hostConfigOf(loose);
  return hostConfig === undefined ? body : { ...body, HostConfig: hostConfig };
}

/** The body's HostConfig from both places; undefined: there is none in either. */
export function hostConfigOf(loose: LooseCreateBody): HostConfig | undefined {
  const { Cpuset: cpuset = '', HostConfig: given, ...members } = loose;
  const atTop = hostConfigFieldNames.filter((name) => name in members);
  const inner = given ?? undefined;
  if (inner === undefined && atTop.length === 0) return undefined;
  const top = Object.fromEntries(atTop.map((name) => [name, members[name]])) as HostConfig; // picked by its own names
  const hostConfig = inner === undefined ? top : withTop(inner, top);
  if (cpuset !== '' && (hostConfig.CpusetCpus ?? '') === '') hostConfig.CpusetCpus = cpuset;
  return hostConfig;
}

function withTop(inner: HostConfig, top: HostConfig): HostConfig {
  const { Memory, MemorySwap, CpuShares, CpusetCpus, VolumeDriver } = top;
  const defaults = { Memory, MemorySwap, CpuShares, CpusetCpus, VolumeDriver };
  const merged: Record<string, unknown> = { ...inner };
  for (const [name, value] of Object.entries(defaults)) {
    if (isSet(value) && !isSet(merged[name])) merged[name] = value;
  }
  return merged;
}

/** Neither absent nor Go's zero. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== 0 && value !== '';
}
