// storage/: what is on the host's disk; one store for each kind of thing, a folder for each store.
//
// Builds the stores of one data root, and brings them to the truth after a crash.

import { join } from 'node:path';
import { makePassableDirectory, makePrivateDirectory } from '../host/directories';
import { openDocumentStore } from './documents/document-store';
import { DiskImageStore } from './image-store';
import { SquashfsLayerStore } from './layers/layer-store';
import type { DocumentStore } from './contract/stores';
import { VolumeStore, volumeDisksName } from './disks/volume-store';
import { DiskFileStore } from './disks/writable-disk-store';

export interface StorageOptions {
  dataRoot: string;
  writableDiskBytes: number;
  /** These may change while the daemon runs: read when needed. */
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  readonly maxDownloadAttempts: number;
  /** Larger layers (unpacked) are refused. Without it, as large as the disk has room. */
  maxLayerBytes?: number;
  /** A directory of a layer with more names is spread over several images. For tests. */
  maxNamesPerDirectory?: number;
}

export interface Storage {
  documents: DocumentStore;
  images: DiskImageStore;
  layers: SquashfsLayerStore;
  writableDisks: DiskFileStore;
  /** Of the cache mounts of builds. */
  cacheDisks: DiskFileStore;
  volumes: VolumeStore;
}

/**
 * Opens the stores and repairs what a crash left. One daemon at a time. `vmGid`: the group of VMs' users, which alone pass to
 * layers and disks; undefined: VMs have no users of their own.
 */
export async function createStorage(options: StorageOptions, vmGid?: number): Promise<Storage> {
  const { dataRoot } = options;
  await makePassableDirectory(dataRoot, vmGid);
  for (const name of ['layers', 'disks', 'cache-disks', volumeDisksName])
    await makePassableDirectory(join(dataRoot, name), vmGid);
  for (const name of ['blobs', 'containers', 'tmp', 'volumes'])
    await makePrivateDirectory(join(dataRoot, name));
  const documents = openDocumentStore(join(dataRoot, 'caisson.db'));
  const layers = new SquashfsLayerStore(documents, dataRoot, {
    maxTarBytes: options.maxLayerBytes,
    maxNamesPerDirectory: options.maxNamesPerDirectory,
  });
  await layers.repair();
  const registry = {
    get insecureRegistries() {
      return options.insecureRegistries;
    },
    get mirrors() {
      return options.registryMirrors;
    },
    get parallelDownloads() {
      return options.maxConcurrentDownloads;
    },
    get parallelUploads() {
      return options.maxConcurrentUploads;
    },
    get maxDownloadAttempts() {
      return options.maxDownloadAttempts;
    },
  };
  const images = new DiskImageStore({ documents, layers, registry, dataRoot });
  await images.repair();
  const writableDisks = new DiskFileStore(dataRoot);
  await writableDisks.open(options.writableDiskBytes);
  const cacheDisks = new DiskFileStore(dataRoot, 'cache-disks');
  await cacheDisks.open();
  const volumes = new VolumeStore(documents, dataRoot, options.writableDiskBytes);
  await volumes.repair();
  return { documents, images, layers, writableDisks, cacheDisks, volumes };
}
