// Images that are made in front of a cluster, against Debian's docker-registry; the cluster's records are in memory.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';

import { ClusterBuilds } from '../../../src/cluster/builds/builds';
import { ClusterImageBackend } from '../../../src/cluster/images/image-backend';
import {
  ImageCatalog,
  type ImageNameRecord,
  type ImageRecord,
} from '../../../src/cluster/images/image-catalog';
import { pullImages } from '../../../src/cluster/images/image-pull';
import { PullSecrets } from '../../../src/cluster/images/pull-secrets';
import { ImageArchives } from '../../../src/cluster/layers/image-archives';
import { keepImages } from '../../../src/cluster/layers/made-images';
import { OwnRegistry } from '../../../src/cluster/layers/own-registry';
import { Workshops } from '../../../src/cluster/layers/workshop';
import type { ProgressLine } from '../../../src/docker/progress';
import { MemoryRecords } from '../../support/fakes/cluster-fakes';
import { alice, aliceHtpasswd, startLocalRegistry, type LocalRegistry } from '../../support/images/registry';
import { makeTar } from '../../support/images/tar-maker';
import { mediaTypes, sha256 } from '../storage/scripted-registry';

jest.mock('@kubernetes/client-node', () => ({}));

const options = { insecureRegistries: [], mirrors: [], maxDownloadAttempts: 5 };
const { signal } = new AbortController();
const base = makeTar([{ name: 'base', data: 'below' }]);
const top = makeTar([{ name: 'top', data: 'above' }]);

const directory = mkdtempSync(join(tmpdir(), 'caisson-own-registry-'));
/** Asks for a password, as operators' do. */
let registry: LocalRegistry;
beforeAll(async () => {
  registry = await startLocalRegistry({ htpasswd: aliceHtpasswd, credentials: alice });
});
afterAll(async () => {
  await registry.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A daemon's images. The operator's Secret is as `kubectl create secret docker-registry` writes it. */
function daemon({ named = true } = {}) {
  const auth = Buffer.from(`${alice.username}:${alice.password}`).toString('base64');
  const data = { '.dockerconfigjson': JSON.stringify({ auths: { other: {}, [registry.host]: { auth } } }) };
  const secrets = new PullSecrets({
    put: () => Promise.resolve(),
    get: (name) => Promise.resolve(name === 'operator' ? data : undefined),
    remove: () => Promise.resolve(),
  });
  const catalog = new ImageCatalog({
    images: new MemoryRecords<ImageRecord>(),
    names: new MemoryRecords<ImageNameRecord>(),
  });
  const events: string[] = [];
  const publish = (action: string, id: string): Promise<void> => {
    events.push(`${action} ${id}`);
    return Promise.resolve();
  };
  const repository = `${registry.host}/team/made`;
  const own = named ? new OwnRegistry({ repository, secret: 'operator' }, secrets, options) : undefined;
  const workshops = new Workshops(join(directory, 'workshops'));
  const archives = new ImageArchives({ catalog, secrets, registry: options, own, workshops, publish });
  const told: ProgressLine[] = [];
  return {
    ...{ catalog, archives, own, workshops, events, told, secrets, publish },
    load: (archive: Buffer): Promise<void> =>
      archives.load(Readable.from([archive]), { quiet: false }, (message) => void told.push(message), signal),
    save: async (...names: string[]): Promise<Buffer> => buffer(await archives.save(names, signal)),
  };
}

function configText(diffIds: readonly string[], more: object = {}): string {
  return JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: diffIds },
    ...more,
  });
}

/** As `docker save` writes it. */
function archive(name: string, text: string): Buffer {
  return makeTar([
    { name: 'config.json', data: text },
    { name: 'base/layer.tar', data: base },
    { name: 'top/layer.tar', data: top },
    {
      name: 'manifest.json',
      data: JSON.stringify([
        { Config: 'config.json', RepoTags: [name], Layers: ['base/layer.tar', 'top/layer.tar'] },
      ]),
    },
  ]);
}

/** What the nodes would get: the configuration and the layers' tars, by skopeo. */
function copied(reference: string): { config: string; tars: Buffer[] } {
  const target = mkdtempSync(join(directory, 'copied-'));
  const credentials = `${alice.username}:${alice.password}`;
  execFileSync('skopeo', [
    ...['copy', '--quiet', '--src-tls-verify=false', '--src-creds', credentials],
    ...[`docker://${reference}`, `dir:${target}`],
  ]);
  const read = (name: string): Buffer => execFileSync('cat', [join(target, name)]);
  const manifest = JSON.parse(read('manifest.json').toString()) as {
    config: { digest: string };
    layers: { digest: string }[];
  };
  const file = (digest: string): Buffer => read(digest.slice('sha256:'.length));
  return {
    config: file(manifest.config.digest).toString(),
    tars: manifest.layers.map(({ digest }) => gunzipSync(file(digest))),
  };
}

test('what is loaded is in the registry, where nodes get it; and saved, it is the same image', async () => {
  const { catalog, load, told, events, save } = daemon();
  const text = configText([sha256(base), sha256(top)]);
  await load(archive('web:1', text));
  expect(told.at(-1)).toEqual({ stream: 'Loaded image: web:1\n' });
  const { index, record } = await catalog.read();
  const image = index.get('web:1');
  expect(image.id).toBe(sha256(Buffer.from(text)));
  expect(events).toEqual([`load ${image.id}`]);
  const [source] = record(image.id)?.sources ?? [];
  expect(source).toEqual({
    reference: expect.stringMatching(`^${registry.host}/team/made@sha256:`) as string,
    secret: 'operator',
  });
  expect(copied(source?.reference ?? '')).toEqual({ config: text, tars: [base, top] });

  const other = daemon();
  const saved = await save('web:1');
  await other.load(saved);
  expect((await other.catalog.read()).index.get('web:1').id).toBe(image.id);
  expect(readdirSync(join(directory, 'workshops'))).toEqual([]);
});

test('an image that comes before a broken one is kept, and told of before the error', async () => {
  const { catalog, load, told } = daemon();
  const text = configText([sha256(base), sha256(top)], { author: 'first' });
  const broken = makeTar([
    { name: 'config.json', data: text },
    { name: 'base/layer.tar', data: base },
    { name: 'top/layer.tar', data: top },
    {
      name: 'manifest.json',
      data: JSON.stringify([
        { Config: 'config.json', RepoTags: ['first:1'], Layers: ['base/layer.tar', 'top/layer.tar'] },
        { Config: 'nothing.json', RepoTags: ['second:1'], Layers: [] },
      ]),
    },
  ]);
  await expect(load(broken)).rejects.toMatchObject({
    message: 'open nothing.json: no such file or directory',
  });
  expect((await catalog.read()).index.find('first:1')?.config.author).toBe('first');
  expect(told.map(({ stream }) => stream)).toContain('Loaded image: first:1\n');
});

test('what is imported has its layer there', async () => {
  const { archives, catalog } = daemon();
  const told: ProgressLine[] = [];
  const request = { fromSrc: '-', repo: 'flat', tag: '2', message: '', changes: ['CMD ["/top"]'] };
  await archives.importImage(request, Readable.from([top]), (message) => void told.push(message), signal);
  const { index, record } = await catalog.read();
  const image = index.get('flat:2');
  expect(told).toEqual([{ status: image.id }]);
  expect(image.config.config?.Cmd).toEqual(['/top']);
  expect(copied(record(image.id)?.sources[0]?.reference ?? '').tars).toEqual([top]);
});

test('layers of another repository are taken over from there, and are not sent again', async () => {
  const blob = gzipSync(base);
  const config = Buffer.from(configText([sha256(base)]));
  await registry.putManifest('base', 'latest', mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: {
      mediaType: mediaTypes.config,
      size: config.length,
      digest: await registry.putBlob('base', config),
    },
    layers: [{ mediaType: mediaTypes.gzip, size: blob.length, digest: await registry.putBlob('base', blob) }],
  });
  const { catalog, own, secrets, workshops, publish } = daemon();
  if (own === undefined) throw new Error('no registry');
  // As a user's own Secret would let nodes in.
  const context = { catalog, registry: options, secrets, publish };
  jest.spyOn(secrets, 'keep').mockResolvedValue('operator');
  await pullImages(context, `${registry.host}/base`, { auth: alice }, () => undefined, signal);
  const text = configText([sha256(base), sha256(top)], { author: 'commit' });
  await workshops.use(async (workshop) => {
    await workshop.layers.add(Readable.from([top]), { signal });
    const made = { configText: text, parentId: sha256(config), names: ['grown:1'] };
    const kept = await keepImages({ catalog, own }, { workshop }, [made], signal);
    expect(kept.images[0]).toMatchObject({ repoTags: ['grown:1'], parentId: sha256(config) });
  });
  const { index, record } = await catalog.read();
  const { sources = [], layers = [] } = record(index.get('grown:1').id) ?? {};
  expect(layers[0]?.digest).toBe(sha256(blob));
  expect(copied(sources[0]?.reference ?? '')).toEqual({ config: text, tars: [base, top] });
});

test('a build takes files from images of registries, and its steps are the next one’s cache, whichever daemon has it', async () => {
  const { catalog, own, secrets, workshops, publish, load } = daemon();
  await load(archive('below:1', configText([sha256(base), sha256(top)])));
  const builds = (): ClusterBuilds => {
    const images = new ClusterImageBackend({
      ...{ catalog, secrets, registry: options, publish },
      users: () => Promise.resolve([]),
      archives: {} as never,
    });
    const needs = { catalog, secrets, registry: options, own, workshops, images };
    // nothing runs
    return new ClusterBuilds({ ...needs, engineVersion: '1', experimental: false } as never);
  };
  const context = makeTar([
    {
      name: 'Dockerfile',
      data: 'FROM below:1 AS one\nCOPY own /\nFROM scratch\nCOPY --from=one /own /base /to/\nENV a=b\n',
    },
    { name: 'own', data: 'from here' },
  ]);
  const build = async (name: string): Promise<string> => {
    const told: string[] = [];
    await builds().build(
      { query: new URLSearchParams({ t: name }), auths: {}, room: () => Promise.resolve() },
      Readable.from([context]),
      ({ stream = '' }) => void told.push(stream),
      signal,
    );
    return told.join('');
  };
  expect(await build('made:1')).toMatch(/Successfully tagged made:1\n$/);
  expect((await build('made:2')).match(/Using cache/g)).toHaveLength(3);
  const { index, record } = await catalog.read();
  const image = index.get('made:2');
  expect(image.repoTags).toEqual(['made:1', 'made:2']);
  expect(image.config.config?.Env).toContain('a=b');
  const [tar = Buffer.alloc(0)] = copied(record(image.id)?.sources[0]?.reference ?? '').tars;
  const names = execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' });
  expect(names.trim().split('\n').sort()).toEqual(['to/', 'to/base', 'to/own']);
  expect(readdirSync(join(directory, 'workshops'))).toEqual([]);
});

test.each([
  ['no tar at all', Buffer.alloc(2000, 'x')],
  ['a name that leads out of it', makeTar([{ name: '../../etc/cron.d/evil', type: '9' }])],
  ['one that is cut off', makeTar([{ name: 'file', data: 'a'.repeat(4000) }]).subarray(0, 2048)],
])('what a Pod gives as its changes is taken as a layer of a registry is: %s', async (_, tar) => {
  await daemon().workshops.use(async ({ layers }) => {
    await expect(layers.add(Readable.from([tar]), { signal })).rejects.toMatchObject({ code: 'Internal' });
    expect(layers.list()).toEqual([]);
  });
});

test('without a registry of the operator it says what is missing; what is in registries is saved all the same', async () => {
  const { load, archives } = daemon({ named: false });
  const missing = { code: 'NotImplemented', message: expect.stringContaining('--kube-registry') as string };
  await expect(load(archive('web:1', configText([])))).rejects.toMatchObject(missing);
  const request = { fromSrc: '-', repo: '', tag: '', message: '', changes: [] };
  await expect(
    archives.importImage(request, Readable.from([top]), () => undefined, signal),
  ).rejects.toMatchObject(missing);
  const build = { query: new URLSearchParams(), auths: {}, room: () => Promise.resolve() };
  await expect(
    new ClusterBuilds({ own: undefined } as never).build(build, Readable.from([]), () => undefined, signal),
  ).rejects.toMatchObject(missing);
  await expect(archives.save(['nothing:1'], signal)).rejects.toMatchObject({ code: 'NotFound' });
});

test.each(['', 'host:5000/team/made:latest', `host/made@sha256:${'a'.repeat(64)}`])(
  '%j is no repository of a registry',
  (repository) => {
    const { secrets } = daemon();
    expect(() => new OwnRegistry({ repository, secret: undefined }, secrets, options)).toThrow();
  },
);
