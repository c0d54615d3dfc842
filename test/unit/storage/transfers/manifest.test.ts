import { manifestTypes } from '../../../../src/registry/registry-client';
import { chooseManifest, parseManifest } from '../../../../src/storage/transfers/manifest';

const digest = `sha256:${'a'.repeat(64)}`;
const part = { digest, size: 3 };

function parse(value: unknown, mediaType = '') {
  return parseManifest({ mediaType, digest, body: Buffer.from(JSON.stringify(value)) });
}

test('images and indexes, told apart by type or by what they have', () => {
  const image = { schemaVersion: 2, config: part, layers: [part, part] };
  expect(parse(image)).toEqual({ kind: 'image', config: part, layers: [part, part] });
  const entry = { ...part, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } };
  expect(parse({ mediaType: manifestTypes.list, manifests: [entry] })).toEqual({
    kind: 'index',
    manifests: [entry],
  });
  expect(parse({ schemaVersion: 2, manifests: [part] })).toEqual({ kind: 'index', manifests: [part] });
  expect(parse({ schemaVersion: 2, manifests: [] }, manifestTypes.ociIndex)).toMatchObject({ kind: 'index' });
});

test.each([
  ['schema 1', { schemaVersion: 1, fsLayers: [] }, 'schema 1 is not supported'],
  ['nothing', {}, 'a digest is missing or malformed'],
  ['null', null, 'a digest is missing or malformed'],
  [
    'a digest that is a path',
    { config: { digest: '../../etc/passwd', size: 1 } },
    'a digest is missing or malformed',
  ],
  ['a size that is none', { config: part, layers: [{ digest, size: -1 }] }, 'has no size'],
  ['a size that is text', { config: part, layers: [{ digest, size: '3' }] }, 'has no size'],
])('%s is refused', (_what, value, message) => {
  expect(() => parse(value)).toThrow(message);
});

test('what is not JSON is refused', () => {
  expect(() => parseManifest({ mediaType: '', digest, body: Buffer.from('<html>') })).toThrow('not JSON');
});

describe('chooseManifest', () => {
  const entry = (os: string, architecture: string, variant?: string) => ({
    ...part,
    digest: `${os}/${architecture}/${variant ?? ''}`,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  });
  const list = [
    entry('unknown', 'unknown'),
    entry('linux', 'amd64', 'v3'),
    entry('linux', 'amd64'),
    entry('linux', 'arm', 'v6'),
    entry('linux', 'arm', 'v7'),
    entry('linux', 'arm64', 'v8'),
  ];
  test.each([
    [undefined, 'linux/amd64/'],
    [{ os: 'linux', architecture: 'amd64', variant: 'v3' }, 'linux/amd64/v3'],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux/arm/v7'],
    [{ os: 'linux', architecture: 'arm64' }, 'linux/arm64/v8'],
  ])('%j', (platform, chosen) => {
    expect(chooseManifest(list, platform).digest).toBe(chosen);
  });

  test("none, in Docker's words", () => {
    expect(() => chooseManifest(list, { os: 'linux', architecture: 'arm', variant: 'v5' })).toThrow(
      'no matching manifest for linux/arm/v5 in the manifest list entries',
    );
    expect(() => chooseManifest([], undefined)).toThrow('no matching manifest for linux/amd64');
  });
});
