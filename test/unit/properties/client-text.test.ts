// What clients write in words of their own: whatever it is, it is read as Docker reads it or refused in its words.

import fc from 'fast-check';

import { parseContainerName, randomContainerName } from '../../../src/semantics/containers/container-names';
import { validateContainer } from '../../../src/semantics/create/validation';
import {
  globMatcher,
  matchLabels,
  matchPattern,
  matchPrefix,
  matchValue,
} from '../../../src/semantics/filters/filters';
import { humanDuration } from '../../../src/go/duration-format';
import { logFileOptions, validateLogConfig } from '../../../src/engine/logs/log-config';
import { parseHumanSize, parseRamSize } from '../../../src/go/size-format';
import { parseTimeReference } from '../../../src/go/time-reference';
import { DaemonError } from '../../../src/errors';
import { parseGoDuration } from '../../../src/go/duration';
import { familiarString, fullString, parseReference } from '../../../src/registry/reference';
import { parseDeviceRule } from '../../../src/translate/devices';
import { parseSecurityOptions, seccompProfile } from '../../../src/translate/security-options';

/** The value, or undefined when it was refused as a client's mistake is. */
function orRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DaemonError) return undefined;
    throw error;
  }
}

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.stringMatching(/^[\w.:/@=,*?[\]\\^-]{0,40}$/),
);

describe('sizes', () => {
  const units = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };
  const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));

  test('of whole numbers are exact, whatever the case and the suffix', () =>
    fc.assert(
      fc.property(
        fc.nat(1023),
        unit,
        fc.constantFrom('', 'b', 'B', 'ib', 'iB'),
        fc.boolean(),
        (value, letter, end, upper) => {
          const text = `${String(value)}${upper ? letter.toUpperCase() : letter}${end}`;
          expect(parseRamSize(text)).toBe(value * 1024 ** units[letter]);
          expect(parseHumanSize(text)).toBe(value * 1000 ** units[letter]);
        },
      ),
    ));

  test('are whole and not negative, or none', () =>
    fc.assert(
      fc.property(anyText, (text) => {
        for (const size of [parseRamSize(text), parseHumanSize(text)]) {
          if (size !== undefined) expect(size >= 0 && Number.isInteger(size)).toBe(true);
        }
      }),
    ));
});

describe('durations', () => {
  test('are the sum of their parts', () =>
    fc.assert(
      fc.property(fc.nat(9999), fc.nat(59), fc.nat(59), fc.boolean(), (hours, minutes, seconds, negative) => {
        const text = `${negative ? '-' : ''}${String(hours)}h${String(minutes)}m${String(seconds)}s`;
        const total = ((hours * 60 + minutes) * 60 + seconds) * 1000;
        expect(Math.abs(parseGoDuration(text) ?? NaN)).toBe(total * 1e6);
        expect(parseTimeReference(text, 0)).toBe(BigInt(negative ? total : -total) * 1_000_000n);
      }),
    ));

  test('of any text are finite or none', () =>
    fc.assert(
      fc.property(anyText, (text) => {
        expect(parseGoDuration(text)).not.toBeNaN();
        expect(() => parseTimeReference(text, 0)).not.toThrow();
      }),
    ));

  test('in words never shrink as time goes by', () => {
    const rank = (words: string): number =>
      ['Less', 'second', 'minute', 'hour', 'day', 'week', 'month', 'year'].findIndex((word) =>
        words.includes(word),
      );
    fc.assert(
      fc.property(fc.nat(1e12), fc.nat(1e12), (one, other) => {
        const [earlier, later] = [Math.min(one, other), Math.max(one, other)];
        expect(rank(humanDuration(earlier))).toBeLessThanOrEqual(rank(humanDuration(later)));
      }),
    );
  });
});

describe('names', () => {
  test('that are accepted follow the grammar, and stay as they are', () =>
    fc.assert(
      fc.property(anyText, (text) => {
        const name = orRefused(() => parseContainerName(text));
        if (name === undefined) return;
        expect(name).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
        expect(parseContainerName(`/${name}`)).toBe(name);
      }),
    ));

  test('made up are names, and free ones', () =>
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 12 }), (answers) => {
        let asked = 0;
        const name = randomContainerName(() => answers[asked++] ?? true);
        expect(parseContainerName(name)).toBe(name);
      }),
      { numRuns: 20 },
    ));
});

describe('references of images', () => {
  const component = fc
    .stringMatching(/^[a-z0-9]+(?:(?:\.|_|__|-{1,3})[a-z0-9]+){0,2}$/)
    .filter((text) => text.length < 40);
  const domain = fc.constantFrom(
    undefined,
    'localhost',
    'localhost:5000',
    '127.0.0.1:5000',
    'example.org',
    '[::1]:5000',
  );
  const tag = fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/), { nil: undefined });
  const digest = fc.option(
    fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}`),
    { nil: undefined },
  );
  const reference = fc
    .tuple(domain, fc.array(component, { minLength: 1, maxLength: 3 }), tag, digest)
    .map(
      ([host, path, version, sum]) =>
        `${host === undefined ? '' : `${host}/`}${path.join('/')}${version === undefined ? '' : `:${version}`}${sum === undefined ? '' : `@${sum}`}`,
    )
    .filter((text) => !/^[a-f0-9]{64}$/.test(text));

  test('of the grammar are read, and mean the same in full and in short', () =>
    fc.assert(
      fc.property(reference, (text) => {
        const parsed = parseReference(text);
        expect(parseReference(fullString(parsed))).toEqual(parsed);
        expect(parseReference(familiarString(parsed))).toEqual(parsed);
      }),
    ));

  test('of any text are refused, or mean the same in full', () =>
    fc.assert(
      fc.property(anyText, (text) => {
        const parsed = orRefused(() => parseReference(text));
        if (parsed !== undefined) expect(parseReference(fullString(parsed))).toEqual(parsed);
      }),
    ));
});

describe('filters', () => {
  test('that are not there let everything pass', () =>
    fc.assert(
      fc.property(anyText, anyText, (name, value) => {
        const none = new Map<string, string[]>();
        expect([matchValue, matchPrefix, matchPattern].map((match) => match(none, name, value))).toEqual([
          true,
          true,
          true,
        ]);
      }),
    ));

  test('let pass what they name, whatever else they name', () =>
    fc.assert(
      fc.property(anyText, fc.array(anyText), (value, others) => {
        const filters = new Map([['f', [...others, value]]]);
        expect([matchValue, matchPrefix, matchPattern].map((match) => match(filters, 'f', value))).toEqual([
          true,
          true,
          true,
        ]);
      }),
    ));

  test('by label want all of them', () =>
    fc.assert(
      fc.property(
        fc.dictionary(fc.stringMatching(/^[a-z.]{1,8}$/), fc.string(), { maxKeys: 5 }),
        (labels) => {
          const queries = Object.entries(labels).flatMap(([key, value]) => [key, `${key}=${value}`]);
          expect(matchLabels(queries, labels)).toBe(true);
          expect(matchLabels([...queries, 'NOT-THERE'], labels)).toBe(false);
        },
      ),
    ));

  test('of a text that is quoted match only that text', () =>
    fc.assert(
      fc.property(anyText, anyText, (text, other) => {
        const matches = globMatcher(text.replace(/./gsu, '\\$&'));
        expect(matches(text)).toBe(true);
        expect(matches(other)).toBe(other === text);
      }),
    ));

  test('of any pattern are refused or work', () =>
    fc.assert(
      fc.property(anyText, anyText, (pattern, text) => {
        const matches = orRefused(() => globMatcher(pattern));
        if (matches !== undefined) expect(typeof matches(text)).toBe('boolean');
      }),
    ));
});

describe('port specifications', () => {
  const validate = (port: string, hostPort: string): string[] =>
    validateContainer(
      {},
      { PortBindings: { [port]: [{ HostPort: hostPort }] } },
      { cpus: 2, hostNetworking: true, validateLog: validateLogConfig },
    );

  test('of numbers and ranges in the ports there are', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 65_535 }),
        fc.nat(65_535),
        fc.constantFrom('tcp', 'udp', 'sctp'),
        (port, hostPort, proto) => {
          expect(validate(`${String(port)}/${proto}`, String(hostPort))).toEqual([]);
        },
      ),
    ));

  test('beyond them are refused', () =>
    fc.assert(
      fc.property(fc.integer({ min: 65_536, max: 2 ** 40 }), (port) => {
        expect(orRefused(() => validate(`${String(port)}/tcp`, ''))).toBeUndefined();
        expect(orRefused(() => validate('80/tcp', String(port)))).toBeUndefined();
      }),
    ));

  test('of any text are refused or accepted, never worse', () =>
    fc.assert(
      fc.property(anyText, anyText, (port, hostPort) => void orRefused(() => validate(port, hostPort))),
    ));
});

describe('log options', () => {
  const names = [
    'max-size',
    'max-file',
    'compress',
    'labels',
    'labels-regex',
    'env',
    'env-regex',
    'tag',
    'mode',
    'max-buffer-size',
  ];
  const options = fc.dictionary(
    fc.oneof(fc.constantFrom(...names), fc.string()),
    fc.oneof(anyText, fc.constantFrom('10m', '3', 'true', 'false', 'non-blocking', '1k', '{{.Name}}')),
    { maxKeys: 4 },
  );

  test('are refused, or leave at least one file and a size above zero', () =>
    fc.assert(
      fc.property(fc.constantFrom('json-file', 'local'), options, (driver, config) => {
        const file = orRefused(() => {
          validateLogConfig({ Type: driver, Config: config });
          return logFileOptions({ Type: driver, Config: config });
        });
        if (file === undefined) return;
        expect(file.maxFiles).toBeGreaterThanOrEqual(1);
        expect(file.maxSizeBytes ?? 1).toBeGreaterThan(0);
        if (file.compress) expect(file.maxFiles).toBeGreaterThan(1);
      }),
      { numRuns: 300 },
    ));
});

describe('security options and device rules', () => {
  test('of any text are refused or read', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            anyText,
            anyText.map((text) => `seccomp=${text}`),
          ),
        ),
        anyText,
        (given, rule) => {
          const parsed = orRefused(() => parseSecurityOptions(given));
          if (parsed !== undefined) orRefused(() => seccompProfile(parsed.seccomp));
          orRefused(() => parseDeviceRule(rule));
        },
      ),
    ));

  test('of any JSON as a profile are refused or read', () =>
    fc.assert(
      fc.property(fc.json(), (profileText) => void orRefused(() => seccompProfile({ profileText }))),
    ));
});
