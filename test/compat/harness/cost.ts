// What cases cost. With CAISSON_COMPAT_COST=FILE they run one after the other, so that what an engine does meanwhile is
// theirs, and each writes a line of JSON to FILE; a report of the dearest ends the run.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';

import { CpuAccount, ownCpuSeconds } from '../../support/process/cpu-account';
import { sendHttp } from '../../support/wire/http-client';
import { compatEnvironment, type EngineName } from './environment';

export const costFile = process.env['CAISSON_COMPAT_COST'];

export interface EngineCost {
  wallSeconds: number;
  /** Of the engine and all it starts; dockerd's containers have control groups elsewhere and are left out. */
  cpuSeconds: number;
  /** Of the test's process and the commands it ran meanwhile. */
  clientCpuSeconds: number;
  created: number;
  started: number;
}

export interface CaseCost {
  file: string;
  name: string;
  attempts: number;
  engines: Partial<Record<EngineName, EngineCost>>;
}

const nothing: EngineCost = { wallSeconds: 0, cpuSeconds: 0, clientCpuSeconds: 0, created: 0, started: 0 };

/** Counts one case over all its attempts. */
export class CostMeter {
  readonly #cost: CaseCost;

  constructor(file: string, name: string) {
    this.#cost = { file, name, attempts: 0, engines: {} };
  }

  attempt(): void {
    this.#cost.attempts += 1;
  }

  /** Runs `work`, which asks `engine` something. */
  async measure<T>(engine: EngineName, work: () => Promise<T>): Promise<T> {
    if (costFile === undefined) return work();
    const { hosts, cpuAccounts } = compatEnvironment();
    const path = cpuAccounts?.[engine];
    const account = path === undefined ? undefined : CpuAccount.existing(path);
    const now = (): EngineCost => ({
      ...nothing,
      wallSeconds: Date.now() / 1000,
      cpuSeconds: account?.seconds() ?? 0,
      clientCpuSeconds: ownCpuSeconds(),
    });
    const before = now();
    try {
      return await work();
    } finally {
      const after = { ...now(), ...(await containersSince(hosts[engine] ?? '', before.wallSeconds)) };
      const sum = this.#cost.engines[engine] ?? nothing;
      this.#cost.engines[engine] = combine(sum, combine(after, before, -1));
    }
  }

  /** Writes the case's line. */
  end(): void {
    if (costFile !== undefined) appendFileSync(costFile, `${JSON.stringify(this.#cost)}\n`);
  }
}

function combine(a: EngineCost, b: EngineCost, sign = 1): EngineCost {
  const members = Object.keys(nothing) as (keyof EngineCost)[];
  return Object.fromEntries(members.map((name) => [name, a[name] + sign * b[name]])) as unknown as EngineCost;
}

/** An engine remembers its last 256 events, which are more than a case makes. */
async function containersSince(
  host: string,
  seconds: number,
): Promise<Pick<EngineCost, 'created' | 'started'>> {
  const filters = encodeURIComponent('{"type":["container"],"event":["create","start"]}');
  const range = `since=${seconds.toFixed(3)}&until=${(Date.now() / 1000).toFixed(3)}`;
  const reply = await sendHttp(host, { method: 'GET', path: `/v1.41/events?${range}&filters=${filters}` });
  const count = (action: string): number => reply.body.split(`"Action":"${action}"`).length - 1;
  return { created: count('create'), started: count('start') };
}

/** The dearest files and cases of a cost file's lines, as a table. */
export function costReport(lines: string): string {
  const cases = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as CaseCost);
  const files = new Map<string, CaseCost[]>();
  for (const cost of cases) files.set(cost.file, [...(files.get(cost.file) ?? []), cost]);
  const rows = (groups: [string, CaseCost[]][], limit: number): string[] =>
    groups
      .map(([name, members]) => ({ name, count: members.length, total: sumOf(members) }))
      .sort((a, b) => b.total.cpu - a.total.cpu)
      .slice(0, limit)
      .map(({ name, count, total }) =>
        [
          ...[
            total.cpu.toFixed(1),
            total.dockerd.toFixed(1),
            total.caisson.toFixed(1),
            total.clients.toFixed(1),
          ],
          ...[total.wall.toFixed(0), String(total.started), String(total.created), String(count)],
        ]
          .map((cell) => cell.padStart(9))
          .join('')
          .concat(`  ${name}`),
      );
  const head = ['CPU s', 'dockerd', 'caisson', 'clients', 'wall s', 'started', 'created', 'cases']
    .map((cell) => cell.padStart(9))
    .join('');
  return [
    ...[head, ...rows([['all', cases]], 1), '', ...rows([...files], 100), ''],
    ...rows(
      cases.map((cost) => [`${cost.name}${cost.attempts > 1 ? ` (${cost.attempts} attempts)` : ''}`, [cost]]),
      40,
    ),
  ].join('\n');
}

interface Sum {
  cpu: number;
  dockerd: number;
  caisson: number;
  clients: number;
  wall: number;
  started: number;
  created: number;
}

function sumOf(cases: readonly CaseCost[]): Sum {
  const sum: Sum = { cpu: 0, dockerd: 0, caisson: 0, clients: 0, wall: 0, started: 0, created: 0 };
  for (const { engines } of cases) {
    for (const name of ['dockerd', 'caisson'] as const) {
      const cost = engines[name] ?? nothing;
      sum[name] += cost.cpuSeconds;
      sum.clients += cost.clientCpuSeconds;
      sum.cpu += cost.cpuSeconds + cost.clientCpuSeconds;
      sum.wall += cost.wallSeconds;
      sum.started += cost.started;
      sum.created += cost.created;
    }
  }
  return sum;
}

/** What global-teardown.ts prints. */
export function reportOfRun(): string | undefined {
  if (costFile === undefined || !existsSync(costFile)) return undefined;
  return costReport(readFileSync(costFile, 'utf8'));
}
