// Builds the stores of one data root, and brings them to the truth after a crash.

import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDocumentStore } from './documents/document-store';
import { DiskImageStore } from './image-store';
import { SquashfsLayerStore } from './layers/layer-store';
import type { DocumentStore } from './contract/stores';
import { VolumeStore } from './disks/volume-store';
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
  volumes: VolumeStore;
}

/** Opens the stores and repairs what a crash left. One daemon at a time. */
export async function createStorage(options: StorageOptions): Promise<Storage> {
  const { dataRoot } = options;
  // VMs run as users of their own and must get through to the files that are theirs.
  await mkdir(dataRoot, { recursive: true, mode: 0o711 });
  await chmod(dataRoot, 0o711);
  const documents = openDocumentStore(join(dataRoot, 'caisson.db'));
  await chmod(join(dataRoot, 'caisson.db'), 0o600);
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
  const volumes = new VolumeStore(documents, dataRoot);
  await volumes.repair();
  return { documents, images, layers, writableDisks, volumes };
}
