// What BuildKit's solver needs of a cluster: images in registries, steps in Pods, and of this machine a directory for what is made.

import { join } from 'node:path';
import type { BuildHost } from '../../buildkit/contract/host';
import type { Config } from '../../config';
import { DiskImageStore } from '../../storage/image-store';
import { ChangedDocuments } from '../images/changed-documents';
import type { Workshops } from '../layers/workshop';
import { ClusterBuildImages, type BuildImagesNeeds } from './build-images';
import { BuildLayers } from './build-layers';
import { CacheTars } from './cache-tars';
import { ClusterStepExecutor, type StepExecutorNeeds } from './step-executor';

export interface BuildKitHostNeeds
  extends BuildImagesNeeds, Pick<StepExecutorNeeds, 'context' | 'supervisor' | 'annotate'> {
  workshops: Workshops;
  config: Pick<
    Config,
    | 'insecureRegistries'
    | 'registryMirrors'
    | 'maxDownloadAttempts'
    | 'maxConcurrentDownloads'
    | 'maxConcurrentUploads'
    | 'writableDiskBytes'
  >;
}

/** Lasts as long as the daemon, with the cache of its builds: close it. */
export interface ClusterBuildKit {
  host: BuildHost;
  /** Of this daemon's own, for what else is kept of builds. */
  directory: string;
  close(): Promise<void>;
}

export async function openBuildKitHost(needs: BuildKitHostNeeds): Promise<ClusterBuildKit> {
  const { config } = needs;
  const workshop = await needs.workshops.open();
  const layers = new BuildLayers(needs, workshop);
  const documents = new ChangedDocuments();
  const transfers = new DiskImageStore({
    documents,
    layers: workshop.layers,
    registry: {
      insecureRegistries: config.insecureRegistries,
      mirrors: config.registryMirrors,
      maxDownloadAttempts: config.maxDownloadAttempts,
      parallelDownloads: config.maxConcurrentDownloads,
      parallelUploads: config.maxConcurrentUploads,
    },
    dataRoot: workshop.temporaryDir,
  });
  const images = new ClusterBuildImages(needs, workshop, layers, transfers);
  const executor = new ClusterStepExecutor({
    ...needs,
    images,
    layers,
    maxCacheBytes: config.writableDiskBytes,
  });
  const host: BuildHost = {
    images,
    contents: images,
    layers,
    executor,
    disks: new CacheTars(join(workshop.directory, 'caches')),
    documents,
    temporaryDir: workshop.temporaryDir,
  };
  return {
    host,
    directory: workshop.directory,
    async close() {
      await executor.close();
      layers.close();
      await workshop.close();
    },
  };
}
