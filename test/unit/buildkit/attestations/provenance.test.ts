import { imageUrl } from '../../../../src/buildkit/attestations/package-url';
import { provenance } from '../../../../src/buildkit/attestations/provenance';
import { requestedAttestations } from '../../../../src/buildkit/attestations/requested';
import type { Ref, UsedSource } from '../../../../src/buildkit/contract/solver';
import { digestOf } from '../../../../src/buildkit/llb/graph';
import { definitionOf, image, never, run } from '../solver/fake-host';

const digest = `sha256:${'a'.repeat(64)}`;
const platform = { OS: 'linux', Architecture: 'amd64', Variant: '', OSVersion: '', OSFeatures: [] };
const source = (identifier: string, metadata: Partial<UsedSource['metadata']> = {}): UsedSource => {
  const op = { identifier, attrs: new Map<string, string>() };
  return { op, platform, metadata: { source: op, ...metadata } };
};
const sources = [
  source(`docker-image://docker.io/library/base:1@${digest}`, {
    image: { digest, config: Buffer.from('{}') },
  }),
  source('git://user:secret@example.com/r.git', {
    git: { checksum: 'c'.repeat(40), ref: '', commitChecksum: '' },
  }),
  source('https://example.com/f', { http: { checksum: digest, filename: 'f' } }),
  source('local://context'),
];
const graph = definitionOf(
  run(image('base'), 'a', {
    mounts: [
      { input: -1, dest: '/run/s', output: -1, mountType: 1, secretOpt: { ID: 'token', optional: true } },
    ],
    inputs: [],
  }),
);

const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 7 };

async function predicate(
  attributes: Record<string, string>,
  args: Record<string, string> = {},
  { made = [] as [string, string[][]][], layers = undefined as Map<string, typeof layer> | undefined } = {},
): Promise<object> {
  const ref: Ref = {
    id: 'r',
    definition: graph,
    evaluate: () => Promise.resolve(),
    layers: () => Promise.resolve([]),
    tree: () => Promise.reject(new Error('not of this test')),
    cachedSteps: () => Promise.resolve([]),
    stepLayers: () => Promise.resolve(new Map(made)),
    sources: () => Promise.resolve(sources),
  };
  const stated = provenance(new Map(Object.entries(attributes)), () => ({
    ref,
    frontend: 'dockerfile.v0',
    args: new Map(Object.entries(args)),
    buildId: 'b',
    startedMs: 0,
    builderPlatform: 'linux/amd64',
  }));
  return JSON.parse((await stated.content(never, layers)).toString()) as object;
}

const materials = [
  { uri: 'pkg:docker/base@1?platform=linux%2Famd64', digest: { sha256: 'a'.repeat(64) } },
  { uri: 'git://user:xxxxx@example.com/r.git', digest: { sha1: 'c'.repeat(40) } },
  { uri: 'https://example.com/f', digest: { sha256: 'a'.repeat(64) } },
];

test('v0.2, min: materials, and arguments that are no secrets', async () => {
  const args = {
    'build-arg:TOKEN': 'secret',
    target: 'x',
    filename: 'Dockerfile',
    'vcs:revision': 'r',
    platform: 'p',
  };
  expect(await predicate({ mode: 'min', 'builder-id': 'me' }, args)).toMatchObject({
    builder: { id: 'me' },
    buildType: 'https://mobyproject.org/buildkit@v1',
    materials,
    invocation: {
      configSource: { entryPoint: 'Dockerfile' },
      parameters: { frontend: 'dockerfile.v0', args: { target: 'x' }, locals: [{ name: 'context' }] },
      environment: { platform: 'linux/amd64' },
    },
    metadata: {
      buildInvocationID: 'b',
      buildStartedOn: '1970-01-01T00:00:00.000Z',
      completeness: { parameters: false, environment: true, materials: false },
      reproducible: false,
      'https://mobyproject.org/buildkit@v1#metadata': { vcs: { revision: 'r' } },
    },
  });
  expect(JSON.stringify(await predicate({ mode: 'min' }, args))).not.toContain('"secret"');
});

test('v1, max: the graph as well, and which secrets it was given', async () => {
  expect(await predicate({ version: 'v1' }, { 'build-arg:A': '1' })).toMatchObject({
    buildDefinition: {
      resolvedDependencies: materials,
      externalParameters: {
        request: { args: { 'build-arg:A': '1' }, secrets: [{ id: 'token', optional: true }] },
      },
      internalParameters: {
        builderPlatform: 'linux/amd64',
        buildConfig: {
          llbDefinition: [
            { id: 'step0', op: { Op: { source: { identifier: 'docker-image://base' } } } },
            {
              id: 'step1',
              op: { Op: { exec: { meta: { args: ['/bin/sh', '-c', 'a'] } } } },
              inputs: ['step0:0'],
            },
          ],
        },
      },
    },
    runDetails: { metadata: { invocationId: 'b', buildkit_completeness: { request: true } } },
  });
});

test('max: which layers of the image each step has made, as far as all of them are in it', async () => {
  const [source = Buffer.alloc(0), step = Buffer.alloc(0)] = graph.def;
  const made: [string, string[][]][] = [
    [digestOf(source), [['base']]],
    [digestOf(step), [['base', 'own'], ['elsewhere'], []]],
  ];
  const layers = new Map([
    ['base', layer],
    ['own', { ...layer, size: 8 }],
  ]);
  const shown = { 'step0:0': [[layer]], 'step1:0': [[layer, { ...layer, size: 8 }]] };
  expect(await predicate({}, {}, { made, layers })).toMatchObject({
    metadata: { 'https://mobyproject.org/buildkit@v1#metadata': { layers: shown } },
  });
  expect(JSON.stringify(await predicate({ mode: 'min' }, {}, { made, layers }))).not.toContain('step1:0');
  // of files there are none
  expect(JSON.stringify(await predicate({}, {}, { made }))).not.toContain('step1:0');
});

test('a context is named without its password', async () => {
  const shown = await predicate({}, { context: 'https://me:pass@example.com/r.git' });
  expect(shown).toMatchObject({
    invocation: { configSource: { uri: 'https://me:xxxxx@example.com/r.git' } },
  });
});

test.each([
  [{ mode: 'none' }, 'invalid mode "none"'],
  [{ version: 'v2' }, 'invalid provenance SLSA version: v2'],
  [{ reproducible: 'so' }, 'failed to parse reproducible flag "so"'],
])('refused: %j', async (attributes: Record<string, string>, message) => {
  await expect(predicate(attributes)).rejects.toThrow(message);
});

test('what is asked for', () => {
  const options = new Map([
    ['attest:provenance', 'mode=min,inline-only=true,"builder-id=a,b"'],
    ['attest:sbom', 'disabled=true'],
    ['build-arg:A', '1'],
  ]);
  const { provenance: asked, sbom } = requestedAttestations(options);
  expect(asked).toEqual(
    new Map([
      ['mode', 'min'],
      ['inline-only', 'true'],
      ['builder-id', 'a,b'],
    ]),
  );
  expect(sbom).toBeUndefined();
  expect(() => requestedAttestations(new Map([['attest:oath', '']]))).toThrow(
    'unknown attestation type "oath"',
  );
});

test.each([
  ['busybox', 'pkg:docker/busybox@latest?platform=linux%2Farm64%2Fv8'],
  ['127.0.0.1:5000/a/b:1', 'pkg:docker/127.0.0.1:5000/a/b@1?platform=linux%2Farm64%2Fv8'],
  [`busybox@${digest}`, `pkg:docker/busybox?digest=${digest}&platform=linux%2Farm64%2Fv8`],
])('%s is %s', (name, url) => {
  expect(imageUrl(name, { os: 'linux', architecture: 'arm64', variant: 'v8' })).toBe(url);
});
