// How long containers, networks and volumes may be there, should whoever made them go without a word: by a label of their own, or by a label
// of theirs for which the operator has set it.

import { DaemonError } from '../../errors';
import { goDurationProblem, parseGoDuration } from '../../go/duration';

const ttlLabel = 'caisson.ttl';

type Labels = Readonly<Record<string, string>> | null | undefined;

/** Milliseconds from its creation on; undefined: for ever. `byLabel`: the same for who has that label. The shortest counts, but for its own. */
export function timeToLiveMs(labels: Labels, byLabel: Readonly<Record<string, number>>): number | undefined {
  const own = parseGoDuration(labels?.[ttlLabel] ?? '');
  if (own !== undefined) return own / 1e6;
  const set = Object.entries(byLabel).flatMap(([label, ms]) => (labels?.[label] === undefined ? [] : [ms]));
  return set.length === 0 ? undefined : Math.min(...set);
}

/** At create. Throws InvalidParameter for a label that says no time. */
export function requireTimeToLive(labels: Labels): void {
  const text = labels?.[ttlLabel];
  if (text === undefined) return;
  const problem = goDurationProblem(text) ?? ((parseGoDuration(text) ?? 0) > 0 ? undefined : 'it is no time');
  if (problem !== undefined)
    throw new DaemonError(
      'InvalidParameter',
      `label ${ttlLabel} is how long this may be there, such as 30m: ${problem}`,
    );
}
