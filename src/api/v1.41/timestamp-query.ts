// `since` and `until`: seconds with a fraction, as dockerd takes them; also dates and Go durations ("10m" ago), which with
// dockerd only its command line understands.

import { DaemonError } from '../../errors';
import { goQuote } from '../../go/quote';
import { parseTimeReference } from '../../go/time-reference';

/** Nanoseconds since the epoch; undefined for ''. A duration counts back from `nowMs`. */
export function parseTimestampQuery(value: string, nowMs: number): bigint | undefined {
  if (value === '') return undefined;
  const time = parseTimeReference(value, nowMs);
  if (time !== undefined) return time;
  const [, seconds = '', fraction] = /^([^.]*)(?:\.(.*))?$/s.exec(value) ?? [];
  const isNumber = /^[+-]?\d+$/.test(seconds);
  const isTooLarge = isNumber && (fraction === undefined || /^\d+$/.test(fraction));
  const reason = isTooLarge ? 'value out of range' : 'invalid syntax';
  const wrong = isTooLarge || !isNumber ? seconds : (fraction ?? '');
  throw new DaemonError('Internal', `strconv.ParseInt: parsing ${goQuote(wrong)}: ${reason}`);
}
