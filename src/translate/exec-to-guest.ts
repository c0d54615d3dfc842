// An exec as the process the agent runs beside a container's own.

import type { ExecCreateBody } from '../docker/types';
import { DaemonError } from '../errors';
import type { GuestProcess } from '../vm/contract/protocol';
import { allCapabilities } from './capabilities';
import { containerEnvironment, mergeEnvironment } from './environment';
import type { PodContainerSpec } from './pod';
import type { ProcessChannels } from './pod-to-guest';

/** Throws Internal for a working directory that is not absolute. What the container doesn't say of it, an exec inherits from the container. */
export function execProcess(
  exec: ExecCreateBody,
  container: PodContainerSpec,
  given: {
    hostname: string;
    containerEnv: readonly string[];
    channels: ProcessChannels;
    consoleSize?: { rows: number; columns: number };
  },
): GuestProcess {
  if (exec.WorkingDir !== undefined && exec.WorkingDir !== '' && !exec.WorkingDir.startsWith('/')) {
    throw new DaemonError(
      'Internal',
      'OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown',
    );
  }
  const terminal = exec.Tty ?? false;
  const user = exec.User ?? '';
  const workingDir = exec.WorkingDir ?? '';
  return {
    args: exec.Cmd ?? [],
    env: mergeEnvironment(
      containerEnvironment({ hostname: given.hostname, terminal, env: given.containerEnv }),
      exec.Env ?? [],
    ),
    cwd: workingDir === '' ? container.process.cwd : workingDir,
    user: user === '' ? container.process.user : user,
    additionalGroups: container.process.additionalGroups,
    terminal,
    ...(given.consoleSize === undefined ? {} : { consoleSize: given.consoleSize }),
    capabilities: (exec.Privileged ?? false) ? [...allCapabilities] : container.process.capabilities,
    noNewPrivileges: container.process.noNewPrivileges,
    rlimits: container.process.rlimits,
    oomScoreAdj: container.process.oomScoreAdj,
    seccomp: container.process.seccomp,
    ...given.channels,
  };
}
