// The container of a RUN, as whatever makes containers is asked for it.

import { runcRefusal } from '../docker/runtime-text';
import type { HostConfig } from '../docker/types';
import type { DaemonError } from '../errors';
import type { BuildLimits } from './host';
import { limitedTo } from './limits';

export function stepHostConfig(limits: BuildLimits): HostConfig {
  return {
    // what the client sent for an ulimit is checked by create
    Ulimits: limits.ulimits,
    ...limitedTo(limits),
    CgroupParent: limits.cgroupParent,
    ShmSize: limits.shmBytes,
    NetworkMode: limits.networkMode,
    ExtraHosts: limits.extraHosts,
    LogConfig: { Type: 'none', Config: {} },
  };
}

/** What dockerd says of a command in an image of nothing. */
export function imageless(): DaemonError {
  return runcRefusal(
    'unable to start container process: exec: "/bin/sh": stat /bin/sh: no such file or directory',
  );
}
