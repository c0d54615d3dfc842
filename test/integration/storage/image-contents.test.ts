// Indexes in the store: made, named, pushed to Debian's docker-registry as they are, and removed with what is theirs alone.

import { Readable } from 'node:stream';

import type { ImageContents, LayerBlob } from '../../../src/storage/contract/stores';
import { startLocalRegistry, type LocalRegistry } from '../../support/images/registry';
import { makeTar } from '../../support/images/tar-maker';
import { mediaTypes, sha256 } from './scripted-registry';
import { openLab, type StorageLab } from './storage-lab';

const never = new AbortController().signal;
const host = { os: 'linux', architecture: 'amd64' };
jest.setTimeout(60_000);

const bodyOf = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const indexType = 'application/vnd.docker.distribution.manifest.list.v2+json';

async function addLayer(lab: StorageLab, name: string): Promise<{ diffId: string; blob: LayerBlob }> {
  const { layers } = lab.storage;
  const { diffId } = await layers.add(Readable.from([makeTar([{ name, data: name }])]), {});
  return { diffId, blob: await layers.blob(diffId, { compression: 'gzip', force: false }, never) };
}

/** An image of each architecture, with a layer of its own and one that they share. */
async function makeIndex(lab: StorageLab): Promise<ImageContents> {
  const shared = await addLayer(lab, 'shared');
  const made = [];
  for (const architecture of ['amd64', 'arm64']) {
    const own = await addLayer(lab, architecture);
    const diffIds = [shared.diffId, own.diffId];
    const config = bodyOf({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } });
    const body = bodyOf({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, size: config.length, digest: sha256(config) },
      layers: [shared, own].map(({ blob: { digest, sizeBytes: size } }) => ({
        mediaType: mediaTypes.gzip,
        size,
        digest,
      })),
    });
    const descriptor = { mediaType: mediaTypes.manifest, size: body.length, digest: sha256(body) };
    made.push({ config, body, descriptor: { ...descriptor, platform: { os: 'linux', architecture } } });
  }
  const manifests = made.map(({ descriptor }) => descriptor);
  return {
    top: { mediaType: indexType, body: bodyOf({ schemaVersion: 2, mediaType: indexType, manifests }) },
    manifests: made.map(({ body }) => ({ mediaType: mediaTypes.manifest, body })),
    blobs: made.map(({ config }) => config),
  };
}

let registry: LocalRegistry;
let lab: StorageLab;
beforeAll(async () => {
  registry = await startLocalRegistry({});
});
afterAll(() => registry.stop());
beforeEach(async () => {
  lab = await openLab();
});
afterEach(() => lab.close());

const push = async (name: string): Promise<void> =>
  lab.storage.images.push(name, { auth: {} }, () => undefined, never);

test('a name leads to one image of it, a platform to another, after a restart too', async () => {
  const contents = await makeIndex(lab);
  const image = lab.storage.images.createContents(contents, ['multi:1'], host);
  expect(image.config.architecture).toBe('amd64');
  lab.storage.images.tag('multi:1', 'other:1');
  const { images } = await lab.reopen();
  const arm = images.find('other:1', { os: 'linux', architecture: 'arm64' });
  expect(arm).toMatchObject({ config: { architecture: 'arm64' }, isOfIndex: true, repoTags: [] });
  expect(images.find('other:1', { os: 'linux', architecture: 's390x' })?.id).toBe(image.id);
  expect(images.get(sha256(contents.top.body)).id).toBe(image.id);
  expect(images.contentsOf('multi:1')?.top.body).toEqual(contents.top.body);
  expect(images.contentsOf('other:1')?.top.body).toEqual(contents.top.body);
});

test('it is pushed byte for byte, and what is there is not sent again', async () => {
  const name = `${registry.host}/multi:1`;
  const contents = await makeIndex(lab);
  lab.storage.images.createContents(contents, [name], host);
  await push(name);
  const digest = sha256(contents.top.body);
  expect(lab.storage.images.get(name).repoDigests).toEqual([`${registry.host}/multi@${digest}`]);
  expect(await lab.storage.images.distribution(name, { auth: {} })).toMatchObject({
    digest,
    mediaType: indexType,
    platforms: [host, { os: 'linux', architecture: 'arm64' }],
  });
  // another machine gets each of them
  const other = await openLab();
  try {
    const platform = { os: 'linux', architecture: 'arm64' };
    await other.storage.images.pull(name, { platform }, () => undefined, never);
    expect(other.storage.images.get(name).config.architecture).toBe('arm64');
  } finally {
    other.close();
  }
  const seen: string[] = [];
  const counter = (blob: { id: string; done: boolean }): void => {
    if (!blob.done) seen.push(blob.id);
  };
  const options = { auth: {}, byDigest: true };
  await lab.storage.images.pushContents(contents, `${registry.host}/multi`, options, counter, never);
  expect(seen).toEqual([]);
});

test('it is saved with all of its images, and loaded as it was, also beside one that is none', async () => {
  const contents = await makeIndex(lab);
  const { images } = lab.storage;
  const image = images.createContents(contents, ['multi:1'], host);
  const plain = await images.create(
    {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [(await addLayer(lab, 'p')).diffId] },
    },
    { tags: ['plain:1', 'plain:2'] },
  );
  const saved = async (...names: string[]): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of images.save(names, never)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };
  const archive = await saved('multi:1', 'plain:1', 'plain:2');
  // of each alone the layout that it always had
  expect((await saved('plain:1')).includes('oci-layout')).toBe(false);
  const other = await openLab();
  try {
    const loaded = other.storage.images;
    await loaded.load(Readable.from([archive]), { quiet: true }, () => undefined, never);
    expect(loaded.get('multi:1').id).toBe(image.id);
    expect(loaded.get('plain:2').id).toBe(plain.id);
    const arm = loaded.find('multi:1', { os: 'linux', architecture: 'arm64' });
    expect(arm?.config.architecture).toBe('arm64');
    expect(loaded.contentsOf('multi:1')?.top.body).toEqual(contents.top.body);
  } finally {
    other.close();
  }
});

test('removing its last name removes all of it', async () => {
  const { images, layers } = lab.storage;
  const image = images.createContents(await makeIndex(lab), ['multi:1'], host);
  images.tag('multi:1', 'other:1');
  const arm = images.find('multi:1', { os: 'linux', architecture: 'arm64' })?.id ?? '';
  await expect(images.remove(arm, { force: true, prune: true }, () => [])).rejects.toThrow(
    'image belongs to a manifest list that has a name',
  );
  expect((await images.prune({ all: false, filters: () => true }, () => [])).deleted).toEqual([]);
  await images.remove('multi:1', { force: false, prune: true }, () => []);
  expect(images.list()).toHaveLength(2);
  const removed = await images.remove('other:1', { force: false, prune: true }, () => []);
  expect(removed.flatMap(({ Deleted }) => Deleted ?? [])).toEqual(expect.arrayContaining([image.id, arm]));
  expect(images.list()).toEqual([]);
  expect(layers.list()).toEqual([]);
  expect(lab.files()).toEqual([]);
});

test('a name that moves on leaves images that anybody may prune', async () => {
  const { images } = lab.storage;
  images.createContents(await makeIndex(lab), ['multi:1'], host);
  const { id } = await images.create(
    { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
    { tags: ['multi:1'] },
  );
  expect(images.contentsOf('multi:1')).toBeUndefined();
  await images.prune({ all: false, filters: () => true }, () => []);
  expect(images.list().map((image) => image.id)).toEqual([id]);
});

test('what lacks something gets no name', async () => {
  const { images } = lab.storage;
  const { top, manifests, blobs } = await makeIndex(lab);
  const create = (contents: ImageContents) => () => images.createContents(contents, ['multi:1'], host);
  expect(create({ top, manifests: manifests.slice(1), blobs })).toThrow(/^content sha256:\w+ is missing$/);
  expect(create({ top, manifests, blobs: [] })).toThrow(/^content sha256:\w+ is missing$/);
  expect(create({ top: { ...top, body: Buffer.from('[') }, manifests, blobs })).toThrow('invalid manifest');
  expect(images.list()).toEqual([]);
});

describe('docker load of an OCI layout', () => {
  const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

  async function layoutOf(contents: ImageContents, leaveOut: string[] = []): Promise<Buffer> {
    const files = new Map<string, Buffer>();
    for (const body of [contents.top.body, ...contents.manifests.map((each) => each.body), ...contents.blobs])
      files.set(blobName(sha256(body)), body);
    for (const { body } of contents.manifests) {
      const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
      for (const { digest } of layers) {
        const chunks: Buffer[] = [];
        const source = lab.storage.layers.openAnyBlob(digest)?.open(0) ?? Readable.from([]);
        for await (const chunk of source as AsyncIterable<Buffer>) chunks.push(chunk);
        files.set(blobName(digest), Buffer.concat(chunks));
      }
    }
    const annotations = { 'io.containerd.image.name': 'docker.io/library/multi:1' };
    const { mediaType, body } = contents.top;
    const index = {
      schemaVersion: 2,
      manifests: [{ mediaType, size: body.length, digest: sha256(body), annotations }],
    };
    files.set('index.json', bodyOf(index));
    for (const name of leaveOut) files.delete(name);
    return makeTar([...files].map(([name, data]) => ({ name, data })));
  }

  test('an index is kept whole; one that lacks something is loaded as the image for this host', async () => {
    const contents = await makeIndex(lab);
    const [, arm] = contents.manifests;
    const whole = await layoutOf(contents);
    const lacking = await layoutOf(contents, [blobName(sha256(arm?.body ?? Buffer.alloc(0)))]);
    for (const [archive, images] of [
      [whole, ['amd64', 'arm64']],
      [lacking, ['amd64']],
    ] as const) {
      const other = await openLab();
      try {
        const store = other.storage.images;
        await store.load(Readable.from([archive]), { quiet: true }, () => undefined, never);
        expect(store.list().map(({ config }) => config.architecture)).toEqual(images);
        expect(store.get('multi:1').config.architecture).toBe('amd64');
        expect(store.contentsOf('multi:1')?.top.body).toEqual(
          images.length === 2 ? contents.top.body : undefined,
        );
      } finally {
        other.close();
      }
    }
  });
});
