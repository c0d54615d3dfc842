// What the daemon's own options give to containers that do not say otherwise: some at create, where inspect shows
// them, the others at each start.

import type { FilledHostConfig, HostConfig } from '../../docker/types';
import type { Config, ContainerDefaults } from '../../config';

/** With the daemon's log driver, size of /dev/shm and namespaces where the client named none. As dockerd, before validation. */
export function withCreateDefaults(
  given: HostConfig,
  config: Pick<Config, 'containerDefaults' | 'defaultShmBytes'>,
): HostConfig {
  const { logDriver, logOptions } = config.containerDefaults;
  const Type = given.LogConfig?.Type ?? '';
  const own = given.LogConfig?.Config ?? {};
  // Options belong to a driver: those of the daemon's are of no use to another.
  const LogConfig =
    Type === '' || Type === logDriver
      ? { Type: logDriver, Config: { ...logOptions, ...own } }
      : { ...given.LogConfig, Config: own };
  const { ipcMode, cgroupnsMode } = config.containerDefaults;
  return {
    ...given,
    LogConfig,
    IpcMode: given.IpcMode === undefined || given.IpcMode === '' ? ipcMode : given.IpcMode,
    ...((given.CgroupnsMode ?? '') === '' && given.Privileged !== true && cgroupnsMode !== undefined
      ? { CgroupnsMode: cgroupnsMode }
      : {}),
    ShmSize: (given.ShmSize ?? 0) === 0 ? config.defaultShmBytes : (given.ShmSize ?? 0),
  };
}

/** With the rest, which inspect does not show. */
export function withRunDefaults(own: FilledHostConfig, defaults: ContainerDefaults): FilledHostConfig {
  const named = new Set((own.Ulimits ?? []).map(({ Name }) => Name));
  const ulimits = defaults.ulimits.filter(({ Name }) => !named.has(Name));
  const says = (name: string): boolean => (own.SecurityOpt ?? []).some((option) => option.startsWith(name));
  const security = [
    ...(defaults.noNewPrivileges && !says('no-new-privileges') ? ['no-new-privileges'] : []),
    ...(defaults.seccompProfile !== undefined && !own.Privileged && !says('seccomp')
      ? [`seccomp=${defaults.seccompProfile.text}`]
      : []),
  ];
  return {
    ...own,
    Init: own.Init ?? defaults.init,
    ...(ulimits.length > 0 ? { Ulimits: [...(own.Ulimits ?? []), ...ulimits] } : {}),
    ...(security.length > 0 ? { SecurityOpt: [...(own.SecurityOpt ?? []), ...security] } : {}),
    Dns: orElse(own.Dns, defaults.dns),
    DnsOptions: orElse(own.DnsOptions, defaults.dnsOptions),
    DnsSearch: orElse(own.DnsSearch, defaults.dnsSearch),
  };
}

function orElse(own: string[] | null, defaults: readonly string[]): string[] | null {
  return own !== null && own.length > 0 ? own : defaults.length > 0 ? [...defaults] : own;
}
