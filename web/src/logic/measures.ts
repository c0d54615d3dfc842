// Columns of measurements, read.

import type { Columns, Measure } from '../../../src/web/types';

export function latest({ values }: Columns, measure: Measure): number | undefined {
  return values[measure]?.findLast((value) => value !== null) ?? undefined;
}

/** Both ways as one; null where neither is known. */
export function summed({ values }: Columns, one: Measure, other: Measure): (number | null)[] {
  const [first = [], second = []] = [values[one], values[other]];
  return Array.from({ length: Math.max(first.length, second.length) }, (_, index) => {
    const [left = null, right = null] = [first[index], second[index]];
    return left === null && right === null ? null : (left ?? 0) + (right ?? 0);
  });
}

/** A machine is measured from outside, its network by a container in it: at other times, so each gets the latest before it. */
export function withNetwork(
  machine: Columns | undefined,
  container: Columns | undefined,
): Columns | undefined {
  if (machine === undefined || container === undefined) return machine;
  let at = -1;
  const places = machine.time.map((time) => {
    while ((container.time[at + 1] ?? Infinity) <= time) at += 1;
    return at;
  });
  const placed = (measure: Measure): (number | null)[] =>
    places.map((place) => container.values[measure]?.[place] ?? null);
  return {
    time: machine.time,
    values: { ...machine.values, rxBytes: placed('rxBytes'), txBytes: placed('txBytes') },
  };
}
