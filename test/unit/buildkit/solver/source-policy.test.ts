// Which sources a policy lets a build use.

import type { SourceOp, SourcePolicy } from '../../../../src/buildkit/contract/llb';
import { checkPolicy, sourceByPolicy } from '../../../../src/buildkit/solver/source-policy';
import { definitionOf, FakeDaemon, FakeHost, image, local, run } from './fake-host';

const actions = { allow: 0, deny: 1, convert: 2 } as const;
type Rule = SourcePolicy['rules'][number];

function rule(
  action: keyof typeof actions,
  identifier: string,
  to = '',
  more: {
    type?: number;
    constraints?: NonNullable<Rule['selector']>['constraints'];
    attrs?: [string, string][];
  } = {},
): Rule {
  const { type = 0, constraints = [], attrs = [] } = more;
  return {
    action: actions[action],
    selector: { identifier, match_type: type, constraints },
    updates: action === 'convert' ? { identifier: to, attrs: new Map(attrs) } : undefined,
  };
}

const policyOf = (...rules: Rule[]): SourcePolicy => ({ version: 1, rules });
const source = (identifier: string, attrs: [string, string][] = []): SourceOp => ({
  identifier,
  attrs: new Map(attrs),
});
const used = (identifier: string, ...rules: Rule[]): string =>
  sourceByPolicy([policyOf(...rules)], source(identifier)).identifier;

test('the last rule that allows or denies counts', () => {
  const all = rule('deny', 'docker-image://*');
  expect(() => used('docker-image://busybox', all)).toThrow(
    'source "docker-image://docker.io/library/busybox:latest" denied by policy',
  );
  const name = 'docker-image://docker.io/library/busybox:latest';
  expect(used('docker-image://busybox', all, rule('allow', name))).toBe(name);
  expect(used('https://example.com/f', all)).toBe('https://example.com/f');
});

test('a source is converted, again and again, but not for ever', () => {
  const go = rule(
    'convert',
    'docker-image://docker.io/library/*:1.*',
    'docker-image://docker.io/library/${1}:2.$2',
  );
  expect(used('docker-image://golang:1.19.1', go)).toBe('docker-image://docker.io/library/golang:2.19.1');
  const pinned = rule('convert', 'https://a/f', '', { type: 1, attrs: [['http.checksum', 'sha256:1']] });
  expect(sourceByPolicy([policyOf(pinned)], source('https://a/f')).attrs.get('http.checksum')).toBe(
    'sha256:1',
  );
  const grows = rule('convert', 'https://a/*', 'https://a/x$1');
  // $1 with letters behind is another name
  expect(() => used('https://a/f', grows)).toThrow('too many mutations');
  const away = rule('convert', 'https://a/*', 'https://b/$1');
  expect(() => used('https://a/f', away, rule('deny', 'https://b/f'))).toThrow('denied');
});

test('stars take as much as they can, in no time', () => {
  const to = 'https://b/?1=${1}&2=${2}';
  expect(used('https://a/x-y-z', rule('convert', 'https://a/*-*', to))).toBe('https://b/?1=x-y&2=z');
  expect(used('https://a/xy', rule('convert', 'https://a/x*xy', to))).toBe('https://a/xy');
  const long = `https://a/${'a'.repeat(50_000)}`;
  expect(used(long, rule('deny', `https://a/${'a*'.repeat(1_000)}b`))).toBe(long);
});

test('conditions on attributes', () => {
  const constraints = [{ key: 'k', value: 'v', condition: 0 }];
  const denied = policyOf(rule('deny', 'git://*', '', { constraints }));
  expect(() => sourceByPolicy([denied], source('git://r', [['k', 'v']]))).toThrow('denied');
  expect(sourceByPolicy([denied], source('git://r', [['k', 'w']])).identifier).toBe('git://r');
});

test('what can’t be followed is refused', () => {
  expect(() => checkPolicy(policyOf(rule('deny', '(', '', { type: 2 })))).toThrow('error parsing regexp');
  expect(() => checkPolicy(policyOf(rule('convert', '.*', 'x', { type: 2 })))).toThrow('not by REGEX');
  expect(() => checkPolicy(policyOf({ action: 1, selector: undefined, updates: undefined }))).toThrow(
    'nil selector',
  );
  expect(() => checkPolicy(policyOf(rule('deny', 'a**')))).toThrow('"**"');
  expect(() => checkPolicy(policyOf({ ...rule('deny', 'a'), action: 9 }))).toThrow('action 9');
});

test('regular expressions are RE2’s', () => {
  const denied = policyOf(rule('deny', '^git://[^.]+\\.example/', '', { type: 2 }));
  expect(() => sourceByPolicy([denied], source('git://a.example/r'))).toThrow('denied');
  expect(sourceByPolicy([denied], source('git://a.test/r')).identifier).toBe('git://a.test/r');
});

test('those of a frontend count for its own graph, besides those of the build', async () => {
  const host = new FakeHost();
  const { build } = new FakeDaemon(host).open();
  const { signal } = new AbortController();
  const policies = [policyOf(rule('deny', 'docker-image://*'))];
  const definition = definitionOf(image('base'));
  await expect(build.solve(definition, { policies }, signal)).rejects.toThrow('denied by policy');
  await expect(
    build.solve(definition, { policies: [policyOf({ ...rule('deny', 'a'), action: 9 })] }, signal),
  ).rejects.toThrow('unknown');
  expect(await build.solve(definition, {}, signal)).toBeDefined();
  await build.close();
  host.remove();
});

test('a graph is solved with the sources that it may have', async () => {
  const host = new FakeHost();
  host.addImage('docker.io/library/other:latest', { file: 'other' });
  const daemon = new FakeDaemon(host);
  const base = 'docker-image://docker.io/library/base:latest';
  const sourcePolicy = policyOf(rule('convert', base, 'docker-image://other'), rule('deny', 'local://*'));
  host.command = () => Promise.resolve({ changes: { '/': { made: 'yes' } } });
  expect(await daemon.filesOf(run(image('base'), 'x'), { sourcePolicy })).toEqual({
    file: 'other',
    made: 'yes',
  });
  await expect(daemon.filesOf(local('context'), { sourcePolicy })).rejects.toThrow(
    '"local://context" denied',
  );
  const { build } = daemon.open({ sourcePolicy });
  const found = build.resolveSource(
    source(base),
    { mode: 'default', logName: '' },
    new AbortController().signal,
  );
  expect((await found).source.identifier).toContain('other');
  await build.close();
  host.remove();
});
