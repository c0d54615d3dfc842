// What a compatibility run works with; global-setup.ts makes it, the test workers read it from one variable.

import type { DockerCli } from '../../support/engines/docker-cli';

/**
 * `both` compares; `dockerd` runs each case twice there, to prove the case; `caisson` compares with dockerd's last run, and
 * `kubernetes` Caisson in front of a cluster with dockerd's last run, or with dockerd where it never had the case.
 */
export const compatTargets = ['both', 'dockerd', 'caisson', 'kubernetes'] as const;
export type CompatTarget = (typeof compatTargets)[number];
/** `buildkit` is a newer dockerd, with which builds are compared; only in runs that have such cases. */
export type EngineName = 'dockerd' | 'buildkit' | 'caisson' | 'kubernetes';

export interface CompatEnvironment {
  target: CompatTarget;
  /** `unix://…`; the one that the target leaves out is undefined. */
  hosts: Partial<Record<EngineName, string>>;
  clis: DockerCli[];
  /** Ids that must be the same on both sides, by the name to show for them: the test images'. */
  knownIds: Record<string, string>;
  /** A process in the network namespace in which ports, bridges and the registry are. */
  namespacePid: number;
  /** The same of the cluster, which has a network and a registry of its own. */
  clusterPid?: number;
  dir: string;
  /** Control groups that count what each engine uses (../../support/process/cpu-account.ts); only in runs that ask for it. */
  cpuAccounts?: Partial<Record<EngineName, string>>;
}

const variable = 'CAISSON_COMPAT_ENVIRONMENT';

export function publishEnvironment(environment: CompatEnvironment): void {
  process.env[variable] = JSON.stringify(environment);
}

export function compatEnvironment(): CompatEnvironment {
  const text = process.env[variable];
  if (text === undefined) throw new Error('no engines: compat tests run through jest’s compat project');
  // written by publishEnvironment
  return JSON.parse(text) as CompatEnvironment;
}

export function wantedTarget(): CompatTarget {
  const wanted = process.env['CAISSON_COMPAT_TARGET'] ?? 'both';
  const target = compatTargets.find((known) => known === wanted);
  if (target === undefined)
    throw new Error(`CAISSON_COMPAT_TARGET is ${wanted}, not ${compatTargets.join(', ')}`);
  return target;
}

/** What this run judges. */
export function engineUnderTest(target: CompatTarget): 'caisson' | 'kubernetes' {
  return target === 'kubernetes' ? 'kubernetes' : 'caisson';
}

/** A process in the network where the engine's ports are. */
export function networkPidOf({ hosts, namespacePid, clusterPid }: CompatEnvironment, host: string): number {
  return host === hosts.kubernetes ? (clusterPid ?? namespacePid) : namespacePid;
}
