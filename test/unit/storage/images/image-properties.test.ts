// What registries, archives and clients may send, at random: an answer or Docker's error, never anything else.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import fc from 'fast-check';

import { DaemonError } from '../../../../src/errors';
import { manifestTypes } from '../../../../src/registry/registry-client';
import { spoolArchive } from '../../../../src/storage/archives/archive-file';
import { parseConfig } from '../../../../src/storage/images/image-config';
import { chainIds } from '../../../../src/storage/images/image-index';
import { chooseManifest, parseManifest } from '../../../../src/storage/transfers/manifest';
import { readOciLayout } from '../../../../src/storage/archives/oci-layout';
import { v1Layers } from '../../../../src/storage/images/v1-image';
import { makeTar } from '../../../support/images/tar-maker';

/** What `work` returns; undefined if it throws what a client may see. Anything else it throws fails the test. */
function orRefusal<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof DaemonError) return undefined;
    throw error;
  }
}

const digest = fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}`);
const digestLike = fc.oneof(digest, fc.string(), fc.jsonValue());
const descriptor = fc.oneof(
  fc.record(
    {
      mediaType: fc.oneof(fc.constantFrom(...Object.values(manifestTypes)), fc.jsonValue()),
      digest: digestLike,
      size: fc.oneof(fc.nat(), fc.double(), fc.jsonValue()),
      platform: fc.oneof(fc.record({ os: fc.jsonValue(), architecture: fc.jsonValue() }), fc.jsonValue()),
    },
    { requiredKeys: [] },
  ),
  fc.jsonValue(),
);
const manifest = fc.record(
  {
    schemaVersion: fc.oneof(fc.constantFrom(1, 2), fc.jsonValue()),
    mediaType: fc.oneof(fc.constantFrom(...Object.values(manifestTypes)), fc.jsonValue()),
    config: descriptor,
    layers: fc.oneof(fc.array(descriptor), fc.jsonValue()),
    manifests: fc.oneof(fc.array(descriptor), fc.jsonValue()),
  },
  { requiredKeys: [] },
);

test('a manifest is read or refused', () => {
  const body = fc.oneof(
    manifest.map((value) => Buffer.from(JSON.stringify(value))),
    fc.json().map((text) => Buffer.from(text)),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  );
  fc.assert(
    fc.property(body, fc.string(), (bytes, mediaType) => {
      const parsed = orRefusal(() => parseManifest({ body: bytes, mediaType, digest: '' }));
      if (parsed === undefined) return;
      if (parsed.kind === 'index') orRefusal(() => chooseManifest(parsed.manifests, undefined));
      const all = parsed.kind === 'index' ? parsed.manifests : [parsed.config, ...parsed.layers];
      for (const each of all) expect(each.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    }),
  );
});

test('a configuration is read or refused, and one that is read can be saved', () => {
  const runConfig = fc.dictionary(
    fc.constantFrom('Env', 'Cmd', 'Labels', 'ExposedPorts', 'User', 'Healthcheck', 'Shell', '__proto__', 'X'),
    fc.jsonValue(),
  );
  const config = fc.record(
    {
      architecture: fc.jsonValue(),
      os: fc.oneof(fc.constant('linux'), fc.jsonValue()),
      created: fc.oneof(fc.constant('2024-01-01T00:00:00.500Z'), fc.jsonValue()),
      config: fc.oneof(runConfig, fc.jsonValue()),
      container_config: fc.oneof(runConfig, fc.jsonValue()),
      history: fc.jsonValue(),
      rootfs: fc.record({ diff_ids: fc.oneof(fc.array(digest), fc.jsonValue()) }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        config.map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      (text) => {
        const parsed = orRefusal(() => parseConfig(text));
        if (parsed === undefined) return;
        const chains = chainIds(parsed.rootfs.diff_ids);
        const layers = v1Layers(parsed, chains);
        expect(layers).toHaveLength(chains.length);
        for (const { id, json } of layers) expect(JSON.parse(json)).toMatchObject({ id });
      },
    ),
  );
});

describe('archives', () => {
  const dir = mkdtempSync(join(tmpdir(), 'caisson-archives-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'spool');
  const whole = makeTar([
    { name: 'manifest.json', data: '[{"Config":"c.json","RepoTags":["a:b"],"Layers":["l.tar"]}]' },
    { name: 'index.json', data: '{"manifests":[{"digest":"sha256:0"}]}' },
    { name: 'link', type: '2', link: '../../../../etc/passwd' },
    { name: 'loop', type: '1', link: 'loop' },
    { name: 'l.tar', data: 'layer' },
  ]);

  /** The names that are asked for are those a manifest may hold. */
  const readAll = async (bytes: Buffer): Promise<void> => {
    let archive;
    try {
      archive = await spoolArchive(Readable.from([bytes]), path, new AbortController().signal);
    } catch (error) {
      expect(error).toBeInstanceOf(DaemonError);
      return;
    }
    try {
      for (const name of ['manifest.json', 'link', 'loop', '../../etc/passwd', '/etc/passwd']) {
        if (orRefusal(() => archive.sizeOf(name)) === undefined) continue;
        expect(await archive.text(name)).not.toContain('root:');
      }
      await readOciLayout(archive).catch((error: unknown) => {
        // JSON that is none, in a blob: the API answers it as any other failure
        expect(error).toBeInstanceOf(Error);
      });
    } finally {
      await archive.close();
    }
  };

  test('bytes that are changed or cut', async () => {
    const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 8 }), fc.nat(whole.length), async (changes, length) => {
        const bytes = Buffer.from(whole);
        for (const { at, byte } of changes) bytes[at] = byte;
        await readAll(bytes.subarray(0, length));
      }),
    );
  });

  test('no archive at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), (bytes) => readAll(Buffer.from(bytes))),
    );
  });
});
