// The filters of the prune verbs.

import type { Filters } from '../../api/v1.41/backend';
import { DaemonError } from '../../errors';
import { goQuote } from '../../go/quote';
import { matchLabels, validateFilters } from './filters';
import { parseTimeReference } from '../../go/time-reference';

const acceptedFilters = {
  containers: ['label', 'label!', 'until'],
  images: ['dangling', 'label', 'label!', 'until'],
  networks: ['label', 'label!', 'until'],
  volumes: ['label', 'label!'],
} as const;

/** True when something with these labels, created then, may be pruned. */
export type PrunePredicate = (labels: Readonly<Record<string, string>>, createdMs: number) => boolean;

/** Throws Docker's errors for filters it refuses. */
export function pruneFilter(
  kind: keyof typeof acceptedFilters,
  filters: Filters,
  nowMs = Date.now(),
): PrunePredicate {
  validateFilters(filters, acceptedFilters[kind]);
  const untilMs = untilTime(filters.get('until'), nowMs);
  const wanted = filters.get('label');
  const unwanted = filters.get('label!') ?? [];
  return (labels, createdMs) => {
    if (untilMs !== undefined && createdMs >= untilMs) return false;
    if (!matchLabels(wanted, labels)) return false;
    return unwanted.length === 0 || !matchLabels(unwanted, labels);
  };
}

function untilTime(values: readonly string[] | undefined, nowMs: number): number | undefined {
  const text = values?.[0];
  if (text === undefined) return undefined;
  if (values !== undefined && values.length > 1) {
    throw new DaemonError('Internal', 'more than one until filter specified');
  }
  const time = parseTimeReference(text, nowMs);
  if (time === undefined) {
    throw new DaemonError('Internal', `failed to parse value as time or duration: ${goQuote(text)}`);
  }
  return Number(time) / 1e6;
}
