// Volumes that are pruned and removed while containers are made with them.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineVolumeBackend } from '../../../../src/engine/backends/volumes';
import { TestEngine } from '../../../support/fakes/engine-fakes';

let engine: TestEngine;
let backend: EngineVolumeBackend;

beforeEach(async () => {
  engine = new TestEngine();
  const { volumes, registry, events } = engine.parts;
  backend = new EngineVolumeBackend({ volumes, registry, events });
  await backend.create({ Name: 'data' });
  writeFileSync(join(volumes.hostPath('data'), 'file'), 'content');
});

afterEach(() => {
  jest.restoreAllMocks();
  engine.dispose();
});

const bind = { HostConfig: { Binds: ['data:/data'] } };
const remaining = (): string[] => engine.parts.volumes.list().map(({ name }) => name);

test('prune keeps what a container has taken while it was measured', async () => {
  const { volumes } = engine.parts;
  const measure = volumes.usageBytes.bind(volumes);
  jest.spyOn(volumes, 'usageBytes').mockImplementationOnce(async (name) => {
    await engine.create(bind);
    return measure(name);
  });
  expect(await backend.prune(new Map())).toEqual({ VolumesDeleted: [], SpaceReclaimed: 0 });
  expect(remaining()).toEqual(['data']);
});

test('what a container is being made with is in use', async () => {
  const make = engine.disks.create.bind(engine.disks);
  const seen: unknown[] = [];
  jest.spyOn(engine.disks, 'create').mockImplementationOnce(async (...args) => {
    seen.push(await backend.prune(new Map()));
    seen.push(await backend.remove('data', { force: true }).catch((error: unknown) => String(error)));
    return make(...args);
  });
  const id = await engine.create({ ...bind, Volumes: { '/anonymous': {} } });
  expect(seen).toEqual([
    { VolumesDeleted: [], SpaceReclaimed: 0 },
    expect.stringContaining(`remove data: volume is in use - [${id}]`),
  ]);
  expect(remaining()).toHaveLength(2);
});

test('a container that could not be made has nothing', async () => {
  jest.spyOn(engine.disks, 'create').mockRejectedValueOnce(new Error('no disk'));
  await expect(engine.create(bind)).rejects.toThrow('no disk');
  expect(await backend.prune(new Map())).toMatchObject({ VolumesDeleted: ['data'] });
});
