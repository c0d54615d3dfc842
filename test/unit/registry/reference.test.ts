import fc from 'fast-check';
import {
  familiarName,
  familiarReference,
  familiarString,
  fullString,
  parseReference,
} from '../../../src/registry/reference';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('parseReference', () => {
  test.each([
    ['busybox', 'docker.io', 'library/busybox', undefined, undefined],
    ['busybox:1.36', 'docker.io', 'library/busybox', '1.36', undefined],
    ['user/app', 'docker.io', 'user/app', undefined, undefined],
    ['docker.io/busybox', 'docker.io', 'library/busybox', undefined, undefined],
    ['index.docker.io/busybox:2', 'docker.io', 'library/busybox', '2', undefined],
    ['index.docker.io/a/b', 'docker.io', 'a/b', undefined, undefined],
    ['localhost/a', 'localhost', 'a', undefined, undefined],
    ['localhost:5000/a:b', 'localhost:5000', 'a', 'b', undefined],
    ['127.0.0.1:5000/debian:12', '127.0.0.1:5000', 'debian', '12', undefined],
    ['[::1]:5000/a/b:c', '[::1]:5000', 'a/b', 'c', undefined],
    ['Example.COM/a', 'Example.COM', 'a', undefined, undefined],
    ['a.b/c__d/e-f.g:T_a.g-1', 'a.b', 'c__d/e-f.g', 'T_a.g-1', undefined],
    [`busybox@${digest}`, 'docker.io', 'library/busybox', undefined, digest],
    [`127.0.0.1:5000/a:b@${digest}`, '127.0.0.1:5000', 'a', 'b', digest],
    ['host/a', 'docker.io', 'host/a', undefined, undefined],
    ['sha256:abc', 'docker.io', 'library/sha256', 'abc', undefined],
  ])('%s', (text, domain, path, tag, wantedDigest) => {
    expect(parseReference(text)).toEqual({
      domain,
      path,
      ...(tag === undefined ? {} : { tag }),
      ...(wantedDigest === undefined ? {} : { digest: wantedDigest }),
    });
  });

  // What dockerd 20.10 answers to a pull of each.
  test.each([
    ['FOO', 'invalid reference format: repository name must be lowercase'],
    ['foo/BAR', 'invalid reference format: repository name must be lowercase'],
    ['UP/foo', 'invalid reference format: repository name must be lowercase'],
    ['', 'invalid reference format'],
    ['a b', 'invalid reference format'],
    ['foo:', 'invalid reference format'],
    ['foo:.tag', 'invalid reference format'],
    [`foo:${'t'.repeat(129)}`, 'invalid reference format'],
    ['-foo', 'invalid reference format'],
    ['foo//bar', 'invalid reference format'],
    ['foo/', 'invalid reference format'],
    ['/foo', 'invalid reference format'],
    ['foo\n', 'invalid reference format'],
    ['foo@sha256:abc', 'invalid reference format'],
    [`foo@sha256:${'0'.repeat(63)}`, 'invalid checksum digest length'],
    [`foo@sha256:A${'0'.repeat(63)}`, 'invalid checksum digest format'],
    [`foo@md5:${'0'.repeat(32)}`, 'unsupported digest algorithm'],
    [
      '0'.repeat(64),
      `invalid repository name (${'0'.repeat(64)}), cannot specify 64-byte hexadecimal strings`,
    ],
    ['a'.repeat(256), 'repository name must not be more than 255 characters'],
  ])('refuses %j', (text, message) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: 'InvalidParameter', message }) as Error,
    );
  });

  const component = fc.stringMatching(/^[a-z0-9]+(?:(?:[._]|__|-{1,3})[a-z0-9]+){0,2}$/);
  const domain = fc.oneof(
    fc.constant('docker.io'),
    fc.constant('localhost:5000'),
    fc.stringMatching(/^[a-z0-9]{1,8}\.[A-Za-z]{2,4}(:[0-9]{1,5})?$/),
  );
  const reference = fc.record({
    domain,
    path: fc.array(component, { minLength: 2, maxLength: 3 }).map((parts) => parts.join('/')),
    tag: fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/), { nil: undefined }),
    digest: fc.option(
      fc.stringMatching(/^[a-f0-9]{64}$/).map((hex) => `sha256:${hex}`),
      { nil: undefined },
    ),
  });

  test('what is written out reads back as the same', () => {
    fc.assert(
      fc.property(reference, ({ tag, digest: hash, ...name }) => {
        const value = {
          ...name,
          ...(tag === undefined ? {} : { tag }),
          ...(hash === undefined ? {} : { digest: hash }),
        };
        expect(parseReference(fullString(value))).toEqual(value);
        // Docker's own ambiguity: on Docker Hub a first part with a dot reads as a host when it stands alone.
        const isAmbiguous = value.domain === 'docker.io' && /^[^/]*\.|^localhost\//.test(value.path);
        if (!isAmbiguous) expect(parseReference(familiarString(value))).toEqual(value);
        expect(fullString(value)).toContain(familiarName(value));
      }),
    );
  });

  test('any text gives a reference that reads back, or InvalidParameter', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z0-9.:/@_-]{0,80}$/)), (text) => {
        try {
          const value = parseReference(text);
          expect(parseReference(fullString(value))).toEqual(value);
        } catch (error) {
          expect(error).toMatchObject({ code: 'InvalidParameter' });
        }
      }),
    );
  });

  test('a long hostile name takes no time', () => {
    const start = process.hrtime.bigint();
    expect(() => parseReference(`${'a-'.repeat(50_000)}!`)).toThrow('invalid reference format');
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeLessThan(500);
  });
});

test('familiar forms', () => {
  expect(familiarReference(parseReference('docker.io/library/busybox'))).toBe('busybox:latest');
  expect(familiarReference(parseReference(`busybox:1@${digest}`))).toBe(`busybox@${digest}`);
  expect(familiarString(parseReference(`busybox:1@${digest}`))).toBe(`busybox:1@${digest}`);
  expect(familiarName(parseReference('docker.io/library/a/b'))).toBe('library/a/b');
  expect(fullString(parseReference('busybox:1'))).toBe('docker.io/library/busybox:1');
});
