// HostConfig.Ulimits as the agent's rlimits.

import { runcRefusal } from '../docker/runtime-text';

const names = new Set([
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
  'as',
]);
/** The kernel's numbers, for the runtime's error text. */
const numbers: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

export interface Rlimit {
  /** `RLIMIT_NOFILE`. */
  type: string;
  /** −1 is unlimited. */
  soft: number;
  hard: number;
}

/** As a daemon without limits of its own hands them on: Docker's service unit sets the same. */
const defaults: readonly Rlimit[] = [
  { type: 'RLIMIT_NOFILE', soft: 1_048_576, hard: 1_048_576 },
  { type: 'RLIMIT_NPROC', soft: -1, hard: -1 },
  { type: 'RLIMIT_CORE', soft: -1, hard: -1 },
];

/** Throws Internal in the runtime's words for what Docker refuses at start. */
export function containerRlimits(
  ulimits: readonly { Name?: string; Soft?: number; Hard?: number }[] | null | undefined,
): Rlimit[] {
  const limits = new Map(defaults.map((limit) => [limit.type, limit]));
  for (const ulimit of ulimits ?? []) {
    const name = (ulimit.Name ?? '').toLowerCase();
    const type = `RLIMIT_${name.toUpperCase()}`;
    if (!names.has(name)) throw runcRefusal(`wrong rlimit value: ${type}`);
    const soft = ulimit.Soft ?? 0;
    const hard = ulimit.Hard ?? 0;
    if (hard >= 0 && (soft < 0 || soft > hard)) {
      throw runcRefusal(
        'unable to start container process: error during container init: error setting rlimits for ready process: ' +
          `error setting rlimit type ${String(numbers[name] ?? 0)}: invalid argument`,
      );
    }
    limits.set(type, { type, soft, hard });
  }
  return [...limits.values()];
}
