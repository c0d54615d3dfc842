import { ClusterSystemBackend, type ClusterSystemParts } from '../../../../src/cluster/system/system-backend';
import { image, imagesOf } from '../../engine/views/read-side-fixtures';

test('disk usage counts images, their layers, and who uses them; a claim keeps its size to itself', async () => {
  const images = [image('1', { repoTags: ['a:1'] }), image('2', { repoTags: ['b:1'] })];
  const volume = { Name: 'data', UsageData: { RefCount: 1, Size: -1 } };
  const backend = new ClusterSystemBackend({
    images: () => Promise.resolve({ index: imagesOf(...images), layerBytes: () => 500 }),
    containers: { list: () => Promise.resolve([{ ImageID: images[1]?.id }]) },
    volumes: { usage: () => Promise.resolve([volume]) },
    buildCache: () => Promise.resolve([]),
  } as unknown as ClusterSystemParts);
  const usage = await backend.diskUsage();
  expect(usage.LayersSize).toBe(500);
  expect(usage.Images?.map(({ Containers, SharedSize }) => [Containers, SharedSize])).toEqual([
    [0, 500],
    [1, 500],
  ]);
  expect(usage.Volumes).toEqual([volume]);
});
