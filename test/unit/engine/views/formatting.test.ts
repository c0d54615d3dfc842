import * as fc from 'fast-check';
import { formatTop, parsePsArguments } from '../../../../src/semantics/views/top-format';
import { formatStats } from '../../../../src/semantics/views/stats-format';
import { humanDuration } from '../../../../src/go/duration-format';
import { globMatcher, matchLabels } from '../../../../src/semantics/filters/filters';
import { repositoryOf } from '../../../../src/semantics/filters/image-filter';
import { parsePlatform } from '../../../../src/registry/platform';
import { pruneFilter } from '../../../../src/semantics/filters/prune-filter';
import { parseHumanSize, parseRamSize } from '../../../../src/go/size-format';
import { parseGoDuration } from '../../../../src/go/duration';
import type { ContainerStats } from '../../../../src/vm/contract/protocol';
import { filters } from './read-side-fixtures';

test.each([
  [999, 'Less than a second'],
  [-5000, 'Less than a second'],
  [1999, '1 second'],
  [59_999, '59 seconds'],
  [60_000, 'About a minute'],
  [120_000, '2 minutes'],
  [59 * 60_000, '59 minutes'],
  [60 * 60_000, 'About an hour'],
  [90 * 60_000, '2 hours'],
  [47.4 * 3_600_000, '47 hours'],
  [47.5 * 3_600_000, '2 days'],
  [13 * 86_400_000, '13 days'],
  [14 * 86_400_000, '2 weeks'],
  [60 * 86_400_000, '2 months'],
  [730 * 86_400_000, '2 years'],
])('%d ms is "%s"', (ms, text) => expect(humanDuration(ms)).toBe(text));

test('sizes', () => {
  expect(parseHumanSize('10k')).toBe(10_000);
  expect(parseHumanSize('1.5 MB')).toBe(1_500_000);
  expect(parseRamSize('64MiB')).toBe(67_108_864);
  expect(parseRamSize('-1')).toBeUndefined();
});

describe('times', () => {
  test.each<[string, number | undefined]>([
    ['1h30m', 5_400e9],
    ['-1.5s', -1.5e9],
    ['.5s', 0.5e9],
    ['10µs', 10_000],
    ['0', 0],
    ['1', undefined],
    ['h', undefined],
    ['1constructor', undefined],
  ])('duration %s', (text, expected) => expect(parseGoDuration(text)).toEqual(expected));
});

describe('labels', () => {
  test.each<[string[], boolean]>([
    [[], true],
    [['a'], true],
    [['a=1', 'b'], true],
    [['a=2'], false],
    [['b='], true],
    [['c'], false],
  ])('%j', (wanted, expected) => expect(matchLabels(wanted, { a: '1', b: '' })).toBe(expected));
});

describe('globs', () => {
  test.each([
    ['*', 'a/b', false],
    ['*/*', 'a/b', true],
    ['bu?ybox*', 'busybox:1.36', true],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['a\\*', 'a*', true],
    ['a.c', 'abc', false],
    ['[b-a]', 'a', false],
    ['127.0.0.1:5000/*', '127.0.0.1:5000/debian:12', true],
  ])('%s against %s', (pattern, text, expected) => expect(globMatcher(pattern)(text)).toBe(expected));

  test.each(['[', '[]', '[a', 'a\\', '[-a]', '[]a]', '[a-]'])('%s is malformed', (pattern) => {
    expect(() => globMatcher(pattern)).toThrow('syntax error in pattern');
  });

  test('a text whose special characters are escaped matches itself alone', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (text, other) => {
        const matches = globMatcher(text.replace(/[\\*?[]/g, '\\$&'));
        expect(matches(text)).toBe(true);
        expect(matches(other)).toBe(other === text);
      }),
    );
  });
});

describe('prune filters', () => {
  const now = Date.parse('2024-01-01T12:00:00Z');
  const hoursAgo = (hours: number) => now - hours * 3_600_000;

  test('until, label and label! all must hold', () => {
    const wanted = filters({ until: ['2h'], label: ['keep=no'], 'label!': ['pinned'] });
    const matches = pruneFilter('containers', wanted, now);
    expect(matches({ keep: 'no' }, hoursAgo(3))).toBe(true);
    expect(matches({ keep: 'no' }, hoursAgo(1))).toBe(false);
    expect(matches({ keep: 'yes' }, hoursAgo(3))).toBe(false);
    expect(matches({ keep: 'no', pinned: '' }, hoursAgo(3))).toBe(false);
  });

  test.each<[Parameters<typeof pruneFilter>[0], Record<string, string[]>, string]>([
    ['volumes', { until: ['1h'] }, "Invalid filter 'until'"],
    ['networks', { dangling: ['x'] }, "Invalid filter 'dangling'"],
    ['images', { until: ['x'] }, 'failed to parse value as time or duration: "x"'],
    ['images', { until: ['1h', '2h'] }, 'more than one until filter specified'],
  ])('%s %j', (kind, wanted, message) => {
    expect(() => pruneFilter(kind, filters(wanted), now)).toThrow(message);
  });
});

describe('top', () => {
  const output = [
    'UID        PID  PPID  C STIME TTY          TIME CMD',
    'root         1     0  0 03:40 ?        00:00:00 init',
    'root        42     1  0 03:40 ?        00:00:00 sh -c echo  two   spaces',
    '',
  ].join('\n');

  test('only the container; what goes beyond the titles is the command', () => {
    expect(formatTop(output, [42])).toEqual({
      Titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'],
      Processes: [['root', '42', '1', '0', '03:40', '?', '00:00:00', 'sh -c echo two spaces']],
    });
  });

  test('threads follow their process', () => {
    const threads = 'PID TTY STAT TIME COMMAND\n7 ? - 0:00 x\n- - S 0:00 -\n8 ? - 0:00 y\n- - S 0:00 -\n';
    expect(formatTop(threads, [7]).Processes).toEqual([
      ['7', '?', '-', '0:00', 'x'],
      ['-', '-', 'S', '0:00', '-'],
    ]);
  });

  test('refusals', () => {
    expect(() => formatTop('CMD\nx\n', [1])).toThrow("Couldn't find PID field in ps output");
    expect(() => formatTop('PID CMD\nx y\n', [1])).toThrow("Unexpected pid 'x': strconv.Atoi: parsing");
    expect(() => parsePsArguments('-x f=PID')).toThrow('specifying "f=PID" is not allowed');
    expect(parsePsArguments('')).toEqual(['-ef']);
    expect(parsePsArguments('-o pid=PID,cmd')).toEqual(['-o', 'pid=PID,cmd']);
  });
});

describe('stats', () => {
  const raw: ContainerStats = {
    timeMs: Date.parse('2024-01-01T00:00:00.5Z'),
    cpu: { usageUsec: 10, userUsec: 6, systemUsec: 4, throttledUsec: 1, periods: 3, throttled: 2 },
    vmUsec: 1_000_000,
    onlineCpus: 2,
    memory: { usageBytes: 5, maxUsageBytes: 0, limitBytes: 9, stat: { anon: 1 } },
    pids: { current: 2, limit: 0 },
    io: [{ major: 8, minor: 0, readBytes: 7, writeBytes: 8, reads: 1, writes: 1 }],
    networks: {},
    disk: { freeBytes: 1, totalBytes: 2 },
  };

  test('a sample', () => {
    const stats = formatStats({ id: 'i', name: '/n' }, raw, undefined);
    expect(stats).toMatchObject({
      read: '2024-01-01T00:00:00.5Z',
      preread: '0001-01-01T00:00:00Z',
      pids_stats: { current: 2 },
      cpu_stats: {
        cpu_usage: { total_usage: 10_000, usage_in_kernelmode: 4000, usage_in_usermode: 6000 },
        system_cpu_usage: 1_000_000_000,
        online_cpus: 2,
        throttling_data: { periods: 3, throttled_periods: 2, throttled_time: 1000 },
      },
      memory_stats: { usage: 5, stats: { anon: 1 }, limit: 9 },
    });
    expect(stats.precpu_stats).not.toHaveProperty('system_cpu_usage');
    expect(stats).not.toHaveProperty('networks');
  });

  test('of a container that does not run, as dockerd has it', () => {
    expect(Object.keys(formatStats({ id: 'i', name: '/n' }, undefined, undefined))).toEqual(
      'read preread pids_stats blkio_stats num_procs storage_stats cpu_stats precpu_stats memory_stats name id'.split(
        ' ',
      ),
    );
  });
});

test.each([
  ['busybox', 'busybox'],
  ['busybox:1', 'busybox'],
  ['127.0.0.1:5000/a/b', '127.0.0.1:5000/a/b'],
  ['127.0.0.1:5000/a/b:9', '127.0.0.1:5000/a/b'],
  ['a@sha256:00', 'a'],
])('repository of %s', (reference, repository) => expect(repositoryOf(reference)).toBe(repository));

describe('platforms', () => {
  test.each([
    ['linux/amd64', { os: 'linux', architecture: 'amd64' }],
    ['linux/arm/v7', { os: 'linux', architecture: 'arm', variant: 'v7' }],
    ['x86_64', { os: 'linux', architecture: 'amd64' }],
    ['linux', { os: 'linux', architecture: 'amd64' }],
    ['', undefined],
  ])('%s', (text, expected) => expect(parsePlatform(text)).toEqual(expected));

  test('refused in words of dockerd', () => {
    expect(() => parsePlatform('foo/bar/baz/x')).toThrow(
      '"foo/bar/baz/x": cannot parse platform specifier: invalid argument',
    );
  });
});
