import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { ImageConfig } from '../../../src/docker/image-config';
import type { ProgressMessage } from '../../../src/storage/contract/stores';
import { makeTar, tarItem, type TarItem } from '../../support/images/tar-maker';
import { mediaTypes, sha256 } from './scripted-registry';
import { openLab, type StorageLab } from './storage-lab';

const never = new AbortController().signal;
const layerTar = (name: string): Buffer => makeTar([{ name, data: name }]);
const configOf = (layers: readonly Buffer[], more: object = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      history: layers.map((_, i) => ({ created: '2024-01-01T00:00:00Z', created_by: `layer ${i}` })),
      rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
      ...more,
    }),
  );

interface ArchiveOptions {
  layers?: Buffer[];
  tags?: string[] | null;
  config?: Buffer;
  names?: string[];
  manifest?: string;
  more?: TarItem[];
}

/** As `docker save` of 20.10 writes it. */
function archiveOf({ layers = [layerTar('a')], tags = ['app:1'], ...options }: ArchiveOptions = {}): Buffer {
  const names = options.names ?? layers.map((_, i) => `layer${i}/layer.tar`);
  const manifest =
    options.manifest ?? JSON.stringify([{ Config: 'config.json', RepoTags: tags, Layers: names }]);
  return makeTar([
    ...layers.map((data, i) => ({ name: `layer${i}/layer.tar`, data })),
    { name: 'manifest.json', data: manifest },
    { name: './config.json', data: options.config ?? configOf(layers) },
    ...(options.more ?? []),
  ]);
}

describe('the image store', () => {
  let lab: StorageLab;
  let events: string[];
  beforeEach(async () => {
    lab = await openLab();
    events = [];
    lab.storage.images.onEvent(({ action, attributes }) =>
      events.push(`${action} ${attributes['name'] ?? ''}`),
    );
  });
  afterEach(() => {
    lab.close();
  });

  async function load(archive: Buffer, quiet = false): Promise<ProgressMessage[]> {
    const messages: ProgressMessage[] = [];
    const source = Readable.from([archive], { objectMode: false });
    await lab.storage.images.load(source, { quiet }, (message) => messages.push(message), never);
    return messages;
  }

  describe('loads', () => {
    test.each<[string, (archive: Buffer) => Buffer]>([
      ['plain', (archive) => archive],
      ['gzip', (archive) => gzipSync(archive)],
      ['zstd', (archive) => execFileSync('zstd', ['-qc'], { input: archive })],
      ['xz', (archive) => execFileSync('xz', ['-c'], { input: archive })],
    ])('an archive in %s', async (_kind, compress) => {
      const id = sha256(configOf([layerTar('a')]));
      const messages = await load(compress(archiveOf()));
      expect(messages.at(-1)).toEqual({ stream: 'Loaded image: app:1\n' });
      expect(messages[0]).toMatchObject({
        status: 'Loading layer',
        id: sha256(layerTar('a')).slice(7, 19),
        progressDetail: { current: 2048, total: 2048 },
      });
      expect(lab.storage.images.get('app:1').id).toBe(id);
      expect(events).toEqual([`load ${id}`]);
      expect(await load(archiveOf())).toEqual([{ stream: 'Loaded image: app:1\n' }]);
      expect(lab.files().filter((name) => name.startsWith('tmp/'))).toEqual([]);
    });

    test('quietly, without a name, and with several', async () => {
      const id = sha256(configOf([layerTar('a')]));
      expect(await load(archiveOf({ tags: null }), true)).toEqual([{ stream: `Loaded image ID: ${id}\n` }]);
      expect(
        await load(archiveOf({ tags: ['x:1', 'docker.io/library/y:latest', '127.0.0.1:5000/z:2'] }), true),
      ).toEqual([
        { stream: 'Loaded image: x:1\n' },
        { stream: 'Loaded image: y:latest\n' },
        { stream: 'Loaded image: 127.0.0.1:5000/z:2\n' },
      ]);
    });

    test('over a name that another image has', async () => {
      await load(archiveOf());
      const before = lab.storage.images.get('app:1').id;
      const messages = await load(archiveOf({ layers: [layerTar('b')] }), true);
      expect(messages[0]?.stream).toBe(
        `The image app:1 already exists, renaming the old one with ID ${before} to empty string\n`,
      );
      expect(lab.storage.images.get(before).repoTags).toEqual([]);
    });

    test('layers by names that lead through links and dots', async () => {
      const archive = archiveOf({
        names: ['s/x/../layer.tar'],
        more: [{ name: 's', type: '2', link: '/d/../layer0' }],
      });
      await load(archive);
      expect(lab.storage.images.find('app:1')).toBeDefined();
    });

    test('layers by links of either kind', async () => {
      const archive = archiveOf({
        names: ['other/layer.tar'],
        more: [
          { name: 'other/layer.tar', type: '2', link: '../hard.tar' },
          { name: 'hard.tar', type: '1', link: 'layer0/layer.tar' },
        ],
      });
      await load(archive);
      expect(lab.storage.images.find('app:1')).toBeDefined();
    });

    test('an OCI layout', async () => {
      const tar = layerTar('oci');
      const layer = gzipSync(tar);
      const config = configOf([tar]);
      const describeBlob = (body: Buffer): object => ({ digest: sha256(body), size: body.length });
      const manifest = Buffer.from(
        JSON.stringify({ schemaVersion: 2, config: describeBlob(config), layers: [describeBlob(layer)] }),
      );
      const index = {
        schemaVersion: 2,
        manifests: [
          {
            ...describeBlob(manifest),
            mediaType: mediaTypes.ociManifest,
            annotations: { 'io.containerd.image.name': 'docker.io/library/oci:1' },
          },
          { digest: sha256('x'), size: 1, platform: { os: 'linux', architecture: 's390x' } },
        ],
      };
      const layout = (layers: Buffer[]): Buffer =>
        makeTar([
          ...[config, manifest, ...layers].map((data) => ({
            name: `blobs/sha256/${sha256(data).slice(7)}`,
            data,
          })),
          { name: 'oci-layout', data: '{}' },
          { name: 'index.json', data: JSON.stringify(index) },
        ]);
      await expect(load(layout([]))).rejects.toThrow('no such file or directory');
      expect((await load(layout([layer]))).at(-1)).toEqual({ stream: 'Loaded image: oci:1\n' });
    });

    test.each<[string, Buffer, string]>([
      [
        'an OCI layout for another platform',
        makeTar([
          { name: 'oci-layout', data: '{}' },
          {
            name: 'index.json',
            data: JSON.stringify({
              manifests: [{ digest: sha256('x'), platform: { os: 'linux', architecture: 'arm64' } }],
            }),
          },
        ]),
        'no matching manifest for linux/amd64 in the manifest list entries',
      ],
      [
        'a missing layer',
        archiveOf({ names: ['gone/layer.tar'] }),
        'open gone/layer.tar: no such file or directory',
      ],
      [
        'too many layers',
        archiveOf({ names: ['layer0/layer.tar', 'layer0/layer.tar'] }),
        'invalid manifest, layers length mismatch: expected 2, got 1',
      ],
      [
        'another diff ID',
        archiveOf({
          layers: [layerTar('a'), layerTar('b')],
          config: configOf([layerTar('a'), layerTar('c')]),
        }),
        `invalid diffID for layer 1: expected "${sha256(layerTar('c'))}", got "${sha256(layerTar('b'))}"`,
      ],
      [
        'a layer that is no tar',
        archiveOf({ layers: [Buffer.alloc(600, 'y')] }),
        'Error processing tar file(exit status 1): archive/tar: invalid tar header',
      ],
      [
        'a bad name',
        archiveOf({ tags: ['BAD'] }),
        'invalid reference format: repository name must be lowercase',
      ],
      ['a digest for a name', archiveOf({ tags: [`a@${sha256('')}`] }), `invalid tag "a@${sha256('')}"`],
      [
        'Windows',
        archiveOf({ config: configOf([layerTar('a')], { os: 'windows' }) }),
        'cannot load windows image on linux',
      ],
      [
        'no configuration',
        archiveOf({ manifest: '[{"Config":"x.json","Layers":[]}]' }),
        'open x.json: no such file or directory',
      ],
      [
        'a file of the host',
        archiveOf({ manifest: '[{"Config":"../../../etc/passwd","Layers":[]}]' }),
        'no such file or directory',
      ],
      [
        'a manifest that is no list',
        archiveOf({ manifest: '{}' }),
        'json: cannot unmarshal object into Go value of type []tarexport.manifestItem',
      ],
      [
        'a manifest with a number for a name',
        archiveOf({ manifest: '[{"Config":"c","RepoTags":[1]}]' }),
        'json: cannot unmarshal number into Go struct field manifestItem.RepoTags of type string',
      ],
      ['a manifest that is no JSON', archiveOf({ manifest: '{' }), 'unexpected EOF'],
      [
        'a configuration that is none',
        archiveOf({ config: Buffer.from('[]') }),
        'json: cannot unmarshal array into Go value of type image.Image',
      ],
      [
        'a configuration without layers',
        archiveOf({ config: Buffer.from('{}') }),
        'invalid image JSON, no RootFS key',
      ],
      ['a name without a tag', archiveOf({ tags: ['a'] }), 'invalid tag "a"'],
      [
        'links in a circle',
        archiveOf({ names: ['l'], more: [{ name: 'l', type: '2', link: 'l' }] }),
        'evalSymlinksInScope: too many links in l',
      ],
      [
        'neither manifest nor index',
        makeTar([{ name: 'a' }]),
        'open repositories: no such file or directory',
      ],
      [
        'no tar',
        Buffer.alloc(2000, 'x'),
        'Error processing tar file(exit status 1): archive/tar: invalid tar header',
      ],
      [
        'a cut archive',
        archiveOf().subarray(0, 1500),
        'Error processing tar file(exit status 1): unexpected EOF',
      ],
      [
        'a cut compressed one',
        gzipSync(archiveOf()).subarray(0, 200),
        'Error processing tar file(exit status 1): unexpected EOF',
      ],
      ['nothing', Buffer.alloc(0), 'open repositories: no such file or directory'],
    ])('not: %s', async (_what, archive, message) => {
      await expect(load(archive)).rejects.toMatchObject({
        name: 'DaemonError',
        message: expect.stringContaining(message) as string,
      });
      if (!message.includes('invalid reference') && !message.includes('invalid tag')) {
        expect(lab.files()).toEqual([]);
        expect(lab.storage.images.list()).toEqual([]);
      }
    });
  });

  describe('imports', () => {
    const importTar = (source: Buffer, more: object = {}): Promise<string> =>
      lab.storage.images.importTar(
        Readable.from([source], { objectMode: false }),
        { changes: [], message: 'imported', ...more },
        () => undefined,
        never,
      );

    test('a root file system with changes', async () => {
      const id = await importTar(gzipSync(layerTar('a')), {
        reference: 'imported:1',
        changes: ['CMD ["sh"]', 'ENV A=b'],
        platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      });
      expect(lab.storage.images.get('imported:1')).toMatchObject({
        id,
        sizeBytes: 1,
        config: {
          architecture: 'arm64',
          variant: 'v8',
          comment: 'imported',
          config: { Cmd: ['sh'], Env: ['A=b'] },
          rootfs: { diff_ids: [sha256(layerTar('a'))] },
        },
      });
      expect(events).toEqual(['tag imported:1', `import ${id}`]);
    });

    test.each<[string, Buffer, object, string]>([
      [
        'no tar',
        Buffer.alloc(600, 'x'),
        {},
        'Error processing tar file(exit status 1): archive/tar: invalid tar header',
      ],
      [
        'cut',
        tarItem({ name: 'a', data: 'x'.repeat(5000) }).subarray(0, 3000),
        {},
        'Error processing tar file(exit status 1): unexpected EOF',
      ],
      ['a bad change', layerTar('a'), { changes: ['RUN x'] }, 'run is not a valid change command'],
      ['a bad name', layerTar('a'), { reference: 'BAD' }, 'repository name must be lowercase'],
      ['a digest', layerTar('a'), { reference: `a@${sha256('')}` }, 'cannot import digest reference'],
    ])('not: %s', async (_what, source, options, message) => {
      await expect(importTar(source, options)).rejects.toThrow(message);
      expect(lab.files()).toEqual([]);
    });
  });

  describe('finds', () => {
    test('by every name, and says what is missing', async () => {
      await load(archiveOf({ tags: ['app:1', 'other/app:latest'] }));
      const { images } = lab.storage;
      const { id } = images.get('app:1');
      for (const ref of [
        id,
        id.slice(7),
        id.slice(7, 19),
        id.slice(0, 12),
        'docker.io/library/app:1',
        'other/app',
      ])
        expect(images.get(ref).id).toBe(id);
      expect(images.find('app')).toBeUndefined();
      expect(images.find('NOT/valid')).toBeUndefined();
      expect(() => images.get('app')).toThrow('No such image: app:latest');
      expect(() => images.get('sha256:0000')).toThrow('No such image: sha256:0000');
      expect(() => images.get('0'.repeat(64))).toThrow(`No such image: sha256:${'0'.repeat(64)}`);
      expect(() => images.get('NOT')).toThrow('invalid reference format: repository name must be lowercase');
    });

    test('what was there before a restart', async () => {
      await load(archiveOf());
      const before = lab.storage.images.list();
      const { images, layers } = await lab.reopen();
      expect(images.list()).toEqual(before);
      expect(layers.list()).toHaveLength(1);
    });

    test('names are sorted with their registry, as Docker does', async () => {
      await load(archiveOf({ tags: ['zz:1', 'localhost:5000/a:1', '127.0.0.1:5000/a:1', 'aa/b:1'] }));
      expect(lab.storage.images.get('zz:1').repoTags).toEqual([
        '127.0.0.1:5000/a:1',
        'aa/b:1',
        'zz:1',
        'localhost:5000/a:1',
      ]);
    });
  });

  describe('tags', () => {
    test('another name, moved and told', async () => {
      await load(archiveOf());
      const { images } = lab.storage;
      const { id } = images.get('app:1');
      images.tag(id, 'new');
      expect(images.get('new').lastTagTimeMs).toBeGreaterThan(0);
      expect(events.at(-1)).toBe('tag new:latest');
      await load(archiveOf({ layers: [layerTar('b')], tags: ['b:1'] }));
      images.tag(images.get('b:1').id, 'new');
      expect(images.get(id).repoTags).toEqual(['app:1']);
    });

    test.each([
      ['a b', 'invalid reference format'],
      [`a@${sha256('')}`, 'refusing to create a tag with a digest reference'],
      ['sha256:abc', 'refusing to create an ambiguous tag using digest algorithm as name'],
      ['0'.repeat(64), 'cannot specify 64-byte hexadecimal strings'],
    ])('not %s', async (target, message) => {
      await load(archiveOf());
      const { images } = lab.storage;
      expect(() => images.tag(images.get('app:1').id, target)).toThrow(
        expect.objectContaining({
          code: 'InvalidParameter',
          message: expect.stringContaining(message) as string,
        }) as Error,
      );
    });
  });

  describe('removes', () => {
    type Use = { containerId: string; running: boolean }[];
    let uses: Use;
    let id: string;
    const chain = sha256(layerTar('a'));
    beforeEach(async () => {
      uses = [];
      await load(archiveOf({ tags: ['b:1'] }));
      id = lab.storage.images.get('b:1').id;
    });
    const remove = (ref: string, force = false, prune = true): ReturnType<typeof lab.storage.images.remove> =>
      lab.storage.images.remove(ref, { force, prune }, (image) => (image === id ? uses : []));
    const tag = (name: string): void => {
      lab.storage.images.tag(id, name);
    };
    const container = 'c0ffee'.repeat(11);
    const short = container.slice(0, 12);

    test('a name, then the image and its layers', async () => {
      tag('b:2');
      expect(await remove('b:2')).toEqual([{ Untagged: 'b:2' }]);
      expect(await remove('b:1')).toEqual([{ Untagged: 'b:1' }, { Deleted: id }, { Deleted: chain }]);
      expect(lab.files()).toEqual([]);
      expect(events.slice(-3)).toEqual([`untag ${id}`, `untag ${id}`, `delete ${id}`]);
    });

    test('by id: one name is no obstacle, several are unless forced', async () => {
      tag('zz/other:x');
      tag('aa:1');
      await expect(remove(id.slice(7, 19))).rejects.toMatchObject({
        code: 'Conflict',
        message: `conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is referenced in multiple repositories`,
      });
      expect(await remove(id, true)).toEqual([
        { Untagged: 'aa:1' },
        { Untagged: 'b:1' },
        { Untagged: 'zz/other:x' },
        { Deleted: id },
        { Deleted: chain },
      ]);
    });

    test('an image of a stopped container only by force, and then its layers stay', async () => {
      uses = [{ containerId: container, running: false }];
      lab.storage.layers.reference(container, [chain]);
      await expect(remove('b:1')).rejects.toThrow(
        `conflict: unable to remove repository reference "b:1" (must force) - container ${short} is using its referenced image ${id.slice(7, 19)}`,
      );
      await expect(remove(id)).rejects.toThrow(
        `conflict: unable to delete ${id.slice(7, 19)} (must be forced) - image is being used by stopped container ${short}`,
      );
      expect(await remove('b:1', true)).toEqual([{ Untagged: 'b:1' }, { Deleted: id }]);
      const { images, layers } = lab.storage;
      await images.removeUnusedLayers([chain]);
      expect(layers.diskPaths([chain])).toHaveLength(1);
      layers.unreference(container);
      await images.removeUnusedLayers([chain]);
      expect(lab.files()).toEqual([]);
    });

    test('an image while it is saved: its layers go when the archive is whole', async () => {
      const archive = lab.storage.images.save(['b:1'], never);
      expect((await remove('b:1')).at(-1)).toEqual({ Deleted: id });
      for await (const chunk of archive) expect(chunk).toBeDefined();
      while (lab.files().length > 0) await turn();
    });

    test('not the layers of an image that comes at the same time', async () => {
      const both = [layerTar('lower'), layerTar('upper')];
      await load(archiveOf({ layers: both, tags: ['c:1'] }));
      const removing = lab.storage.images.remove('c:1', { force: false, prune: true }, () => []);
      const upper = sha256(both[1]!);
      const { config } = lab.storage.images.get(id);
      await lab.storage.images.create({ ...config, rootfs: { type: 'layers', diff_ids: [upper] } }, {});
      await removing;
      expect(lab.storage.layers.diskPaths([upper])).toHaveLength(1);
    });

    test('an image of a running container never, only its name', async () => {
      uses = [{ containerId: container, running: true }];
      await expect(remove(id, true)).rejects.toThrow(
        `conflict: unable to delete ${id.slice(7, 19)} (cannot be forced) - image is being used by running container ${short}`,
      );
      tag('b:2');
      expect(await remove('b:2')).toEqual([{ Untagged: 'b:2' }]);
      expect(await remove('b:1', true)).toEqual([{ Untagged: 'b:1' }]);
      expect(lab.storage.images.get(id).repoTags).toEqual([]);
    });

    describe('with an image made of it', () => {
      let child: string;
      beforeEach(async () => {
        const upper = layerTar('upper');
        await lab.storage.layers.add(Readable.from([upper], { objectMode: false }));
        const parent = lab.storage.images.get(id).config;
        const config: ImageConfig = {
          ...parent,
          history: [...(parent.history ?? []), { created: '2024-02-01T00:00:00Z', created_by: 'made here' }],
          rootfs: { type: 'layers', diff_ids: [...parent.rootfs.diff_ids, sha256(upper)] },
        };
        child = (await lab.storage.images.create(config, { parentId: id, tags: ['kid:1'] })).id;
      });

      test('the parent stays, nameless, and goes with its child', async () => {
        expect(lab.storage.images.history('kid:1').map(({ Id, Tags, Size }) => [Id, Tags, Size])).toEqual([
          [child, ['kid:1'], 5],
          [id, ['b:1'], 1],
        ]);
        expect(await remove('b:1')).toEqual([{ Untagged: 'b:1' }]);
        await expect(remove(id, true)).rejects.toThrow(
          `conflict: unable to delete ${id.slice(7, 19)} (cannot be forced) - image has dependent child images`,
        );
        const removed = await remove('kid:1');
        expect(removed.map((item) => item.Deleted)).toEqual([
          undefined,
          child,
          expect.any(String),
          id,
          chain,
        ]);
        expect(lab.files()).toEqual([]);
      });

      test('unless parents are to stay', async () => {
        await remove('b:1');
        await remove('kid:1', false, false);
        expect(lab.storage.images.get(id).repoTags).toEqual([]);
      });
    });

    test('prune: dangling ones, or all that nothing uses', async () => {
      const { images } = lab.storage;
      await load(archiveOf({ layers: [layerTar('bb')], tags: null }));
      const dangling = sha256(configOf([layerTar('bb')]));
      const none = (): [] => [];
      expect(await images.prune({ all: false, filters: () => true }, none)).toEqual({
        deleted: [{ Deleted: dangling }, { Deleted: sha256(layerTar('bb')) }],
        reclaimedBytes: 2,
      });
      expect(await images.prune({ all: true, filters: () => false }, none)).toEqual({
        deleted: [],
        reclaimedBytes: 0,
      });
      const inUse = (): Use => [{ containerId: container, running: false }];
      expect((await images.prune({ all: true, filters: () => true }, inUse)).deleted).toEqual([]);
      expect((await images.prune({ all: true, filters: () => true }, none)).deleted).toEqual([
        { Untagged: 'b:1' },
        { Deleted: id },
        { Deleted: chain },
      ]);
      expect(lab.files()).toEqual([]);
    });
  });

  test('layers from GNU tar of a real tree come back as they are', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'caisson-tree-'));
    try {
      for (const path of ['bin/tool', `long/${'x'.repeat(150)}/file`, 'etc/conf']) {
        mkdirSync(dirname(join(dir, path)), { recursive: true });
        writeFileSync(join(dir, path), path);
      }
      const tar = execFileSync('tar', ['--format=posix', '-C', dir, '-cf', '-', '.']);
      const { diffId, sizeBytes } = await lab.storage.layers.add(Readable.from([tar], { objectMode: false }));
      expect(diffId).toBe(sha256(tar));
      expect(sizeBytes).toBe('bin/tool'.length + `long/${'x'.repeat(150)}/file`.length + 'etc/conf'.length);
      expect(
        Buffer.concat((await lab.storage.layers.openTar(diffId).toArray()) as Buffer[]).equals(tar),
      ).toBe(true);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
