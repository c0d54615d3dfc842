// How the figures are shown.

import { readFileSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';
import type { CaissonInfo } from '../../api/v1/types';
import { table } from '../client/output';
import type { Measure } from './measures';

export interface Result {
  measure: Measure;
  value?: number;
  /** Why there is none. */
  error?: string;
}

/** For programs. A figure that did not come has its error instead. */
export function figuresOf(
  { version, accelerator }: CaissonInfo,
  results: readonly Result[],
): {
  version: string;
  accelerator: string;
  load: number;
  figures: { name: string; unit: string; emulated: number; value?: number; error?: string }[];
} {
  return {
    version,
    accelerator: accelerator.kind,
    load: Number(load()),
    figures: results.map(({ measure: { name, unit, emulated }, ...result }) => ({
      ...{ name, unit, emulated },
      ...result,
    })),
  };
}

/** The table, what was measured on, and what to do about what failed. */
export function benchmarkReport(info: CaissonInfo, results: readonly Result[]): string {
  const failed = results.filter(({ error }) => error !== undefined);
  const rows = results.map(({ measure, value }) => [
    measure.name,
    value === undefined ? 'failed' : figure(value),
    figure(measure.emulated),
    measure.unit,
  ]);
  return [
    table(['', 'HERE', 'EMULATED', ''], rows),
    '\n',
    ...subjectLines(info).map((line) => `${line}\n`),
    ...failed.map(({ measure, error = '' }) => `\nFAIL  ${measure.name}: ${error}\n`),
    failed.length === 0
      ? ''
      : '\nPlease report what failed, with all of the above, the output of "caisson doctor", and the daemon\'s log (--log-level debug).\n',
  ].join('');
}

function subjectLines({ version, accelerator, factory }: CaissonInfo): string[] {
  const model = cpus()[0]?.model ?? 'unknown CPU';
  const { memoryBytes, cpus: vmCpus } = factory.default;
  return [
    `caisson ${version}, ${accelerator.kind} (${accelerator.reason})`,
    `VMs of ${memoryBytes / 2 ** 20} MiB and ${vmCpus} CPUs, pool of ${factory.poolSize}`,
    `host: ${cpus().length} × ${model}, Linux ${release()} ${arch()}, load ${load()}`,
    ...(accelerator.kind === 'kvm'
      ? []
      : ['The CPU of emulated VMs is ten times slower or more; with a usable /dev/kvm that goes away.']),
  ];
}

/** Of the last minute: what else ran while it was measured. */
function load(): string {
  return readFileSync('/proc/loadavg', 'utf8').split(' ')[0] ?? '';
}

/** Three digits at least, and no more after the point than say something. */
export function figure(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
