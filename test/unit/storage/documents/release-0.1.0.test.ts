// The records that release 0.1.0 left behind (packaging/test/upgrade.sh wrote them down): this release reads them all.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerRegistry } from '../../../../src/engine/core/container-registry';
import { PodRecords } from '../../../../src/engine/core/pod-record';
import { NetworkTable } from '../../../../src/network/network-table';
import type { DocumentStore } from '../../../../src/storage/contract/stores';
import { VolumeStore } from '../../../../src/storage/disks/volume-store';
import { openDocumentStore } from '../../../../src/storage/documents/document-store';
import { ImageIndex } from '../../../../src/storage/images/image-index';
import { SquashfsLayerStore } from '../../../../src/storage/layers/layer-store';
import { projectDir } from '../../../support/process/project-dir';

interface Kept {
  schema: number;
  collections: Record<string, Record<string, object>>;
}

const kept = JSON.parse(
  readFileSync(join(projectDir, 'test/fixtures/release-0.1.0/records.json'), 'utf8'),
) as Kept;
let directory = '';
let documents: DocumentStore;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'release-'));
  documents = openDocumentStore(join(directory, 'caisson.db'));
  for (const [collection, records] of Object.entries(kept.collections))
    for (const [id, record] of Object.entries(records)) documents.put(collection, id, record);
});
afterAll(() => {
  documents.close();
  rmSync(directory, { recursive: true });
});

test('containers, in the states they were in', () => {
  const registry = new ContainerRegistry(documents);
  registry.load();
  const states = registry.list().map(({ name, state }) => [name, state.kind]);
  expect(states.sort()).toEqual([
    ['counter', 'running'],
    ['ended', 'exited'],
    ['frozen', 'paused'],
    ['web', 'running'],
  ]);
  expect(registry.get('ended').state).toMatchObject({ exitCode: 7 });
  expect(registry.get('web').record).toMatchObject({ name: 'web' });
});

test('networks with their endpoints', () => {
  const table = new NetworkTable(documents);
  expect(table.byName('apart')).toMatchObject({ name: 'apart' });
  expect(table.records().map(({ name }) => name)).toEqual(expect.arrayContaining(['bridge', 'host', 'none']));
});

test('volumes, images and the layers that they are made of', () => {
  expect(new VolumeStore(documents, directory).find('kept')).toMatchObject({ name: 'kept' });
  const layers = new SquashfsLayerStore(documents, directory);
  const index = new ImageIndex(documents, (diffId) => layers.find(diffId)?.tarBytes ?? 0);
  expect(index.list().flatMap((image) => image.repoTags)).toEqual(
    expect.arrayContaining(['caisson/hello:latest', 'mine:1']),
  );
});

test('Pods', () => {
  expect(new PodRecords(documents).list()).toEqual([]);
});
