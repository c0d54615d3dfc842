// Secrets that nodes pull by go with the last image or container that needs them.

import { ClusterImageBackend, type ImageUser } from '../../../../src/cluster/images/image-backend';
import { ImageCatalog, type ImageRecord } from '../../../../src/cluster/images/image-catalog';
import { PullSecrets } from '../../../../src/cluster/images/pull-secrets';
import { MemoryRecords } from '../../../support/fakes/cluster-fakes';

const ofOne = `registry-${'1'.repeat(24)}`;
const ofBoth = `registry-${'2'.repeat(24)}`;

const config = (label: string): string =>
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { label } },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  });

const refused = (): Promise<never> => Promise.reject(new Error('not here'));

interface Fixture {
  images: ClusterImageBackend;
  secrets: Set<string>;
  users: ImageUser[];
  add(name: string, secret: string): Promise<string>;
}

function fixture(): Fixture {
  const secrets = new Set<string>();
  const users: ImageUser[] = [];
  const catalog = new ImageCatalog({
    images: new MemoryRecords<ImageRecord>(),
    names: new MemoryRecords(),
  });
  const images = new ClusterImageBackend({
    catalog,
    secrets: new PullSecrets({
      put: (name) => Promise.resolve(void secrets.add(name)),
      get: () => Promise.resolve(undefined),
      remove: (name) => Promise.resolve(void secrets.delete(name)),
    }),
    registry: { insecureRegistries: [], mirrors: [], maxDownloadAttempts: 1 },
    users: () => Promise.resolve(users),
    archives: { load: refused, save: refused, importImage: refused },
    publish: () => Promise.resolve(),
  });
  const add = (name: string, secret: string): Promise<string> =>
    catalog.change((change) => {
      secrets.add(secret);
      const source = { reference: `registry.test/${name}@sha256:${'a'.repeat(64)}`, secret };
      const { id } = change.add({ configText: config(name), layers: [], source });
      change.index.setName(`registry.test/${name}:latest`, id, true);
      return id;
    });
  return { images, secrets, users, add };
}

it('drops the Secret of an image that is removed, and keeps one that another needs', async () => {
  const { images, secrets, add } = fixture();
  await add('one', ofOne);
  await add('two', ofBoth);
  await add('three', ofBoth);
  const options = { force: false, noprune: false };
  await images.remove('registry.test/one', options);
  await images.remove('registry.test/two', options);
  expect([...secrets]).toEqual([ofBoth]);
  await images.remove('registry.test/three', options);
  expect(secrets.size).toBe(0);
});

it('keeps the Secret of a container whose image is gone, until the container is', async () => {
  const { images, secrets, users, add } = fixture();
  const imageId = await add('one', ofOne);
  users.push({ imageId, containerId: 'c', running: false, secret: ofOne });
  await images.remove('registry.test/one', { force: true, noprune: false });
  expect(secrets.size).toBe(1);
  users.pop();
  await images.released({ reference: 'registry.test/one', secret: ofOne });
  expect(secrets.size).toBe(0);
});

it("leaves the operator's own Secret", async () => {
  const { images, secrets, add } = fixture();
  await add('made', 'operator');
  await images.remove('registry.test/made', { force: false, noprune: false });
  expect([...secrets]).toEqual(['operator']);
});
