// Times in JSON as Go's time package reads them (RFC 3339), with its words for what is none.

import { goQuote } from './quote';

const layout = '"2006-01-02T15:04:05Z07:00"';

/** What is read, what the layout calls it, and the numbers that it may be. */
const elements: readonly { form: RegExp; name: string; range?: readonly [string, number, number] }[] = [
  { form: /^"/, name: '"' },
  { form: /^\d{4}/, name: '2006' },
  { form: /^-/, name: '-' },
  { form: /^\d\d/, name: '01', range: ['month', 1, 12] },
  { form: /^-/, name: '-' },
  { form: /^\d\d/, name: '02', range: ['day', 1, 31] },
  { form: /^T/, name: 'T' },
  { form: /^\d\d?/, name: '15', range: ['hour', 0, 23] },
  { form: /^:/, name: ':' },
  { form: /^\d\d/, name: '04', range: ['minute', 0, 59] },
  { form: /^:/, name: ':' },
  { form: /^\d\d/, name: '05', range: ['second', 0, 59] },
  { form: /^([.,]\d+)?/, name: '' },
  { form: /^(Z|[+-]\d\d:\d\d)/, name: 'Z07:00' },
  { form: /^"$/, name: '"' },
];

/** What Go says of a JSON value, by its text, that is no time; undefined for one that is. */
export function timeError(json: string): string | undefined {
  let rest = json;
  for (const { form, name, range } of elements) {
    const found = form.exec(rest)?.[0];
    if (found === undefined) {
      const place = `cannot parse ${goQuote(rest)} as ${goQuote(name)}`;
      return `parsing time ${goQuote(json)} as ${goQuote(layout)}: ${place}`;
    }
    const [unit = '', least = 0, most = Infinity] = range ?? [];
    const outside = range !== undefined && (Number(found) < least || Number(found) > most);
    if (outside) return `parsing time ${goQuote(json)}: ${unit} out of range`;
    rest = rest.slice(found.length);
  }
  return undefined;
}
