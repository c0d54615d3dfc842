import { gzipSync } from 'node:zlib';
import { alice, aliceHtpasswd, startLocalRegistry, type LocalRegistry } from '../../support/images/registry';
import { makeTar } from '../../support/images/tar-maker';
import { mediaTypes, sha256 } from './scripted-registry';
import { openLab, type StorageLab } from './storage-lab';

/** Uploads an image of one layer as `app:latest`. */
async function upload(registry: LocalRegistry): Promise<{ imageId: string; digest: string }> {
  const tar = makeTar([{ name: 'hello', data: 'world' }]);
  const blob = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [sha256(tar)] },
    }),
  );
  const digest = await registry.putManifest('app', 'latest', mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: {
      mediaType: mediaTypes.config,
      size: config.length,
      digest: await registry.putBlob('app', config),
    },
    layers: [{ mediaType: mediaTypes.gzip, size: blob.length, digest: await registry.putBlob('app', blob) }],
  });
  return { imageId: sha256(config), digest };
}

describe.each([
  ['open', {}, {}],
  ['with a password', { htpasswd: aliceHtpasswd, credentials: alice }, { auth: alice }],
])("Debian's docker-registry, %s", (kind, registryOptions, pullOptions) => {
  let registry: LocalRegistry;
  let lab: StorageLab;
  beforeAll(async () => {
    registry = await startLocalRegistry(registryOptions);
    lab = await openLab();
  });
  afterAll(async () => {
    lab.close();
    await registry.stop();
  });
  const pull = (reference: string, options: object): Promise<void> =>
    lab.storage.images.pull(reference, options, () => undefined, new AbortController().signal);

  test('an image by tag and by digest, every tag, and none', async () => {
    const { imageId, digest } = await upload(registry);
    await pull(`${registry.host}/app`, pullOptions);
    await pull(`${registry.host}/app@${digest}`, pullOptions);
    await pull(`${registry.host}/app`, { ...pullOptions, allTags: true });
    expect(lab.storage.images.get(`${registry.host}/app`)).toMatchObject({
      id: imageId,
      repoDigests: [`${registry.host}/app@${digest}`],
      sizeBytes: 5,
    });
    await expect(pull(`${registry.host}/app:none`, pullOptions)).rejects.toMatchObject({
      code: 'NotFound',
      message: `manifest for ${registry.host}/app:none not found: manifest unknown: manifest unknown`,
    });
  });

  test('logging in', async () => {
    const { images } = lab.storage;
    const serveraddress = registry.host;
    await expect(images.login({ ...alice, serveraddress })).resolves.toEqual({
      status: 'Login Succeeded',
      identityToken: '',
    });
    if (kind === 'open') return;
    await expect(images.login({ username: 'alice', password: 'wrong', serveraddress })).rejects.toThrow(
      `login attempt to http://${registry.host}/v2/ failed with status: 401 Unauthorized`,
    );
    await expect(images.login({ serveraddress })).rejects.toThrow(
      `Get "http://${registry.host}/v2/": no basic auth credentials`,
    );
    await expect(pull(`${registry.host}/app`, {})).rejects.toThrow(
      `Head "http://${registry.host}/v2/app/manifests/latest": no basic auth credentials`,
    );
    await expect(
      pull(`${registry.host}/app`, { auth: { username: 'alice', password: 'x' } }),
    ).rejects.toThrow('unauthorized: authentication required');
  });
});
