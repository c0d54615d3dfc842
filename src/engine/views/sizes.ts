// What a container takes on disk, for `ps --size`, `inspect --size` and `system df`.

import type { ImageStore, WritableDiskStore } from '../../storage/contract/stores';
import type { Container } from '../core/container-registry';

export interface ContainerSizes {
  SizeRw: number;
  SizeRootFs: number;
}

export interface SizeSources {
  images: Pick<ImageStore, 'find'>;
  disks: Pick<WritableDiskStore, 'contentBytes'>;
  /** Bytes of the container's disk that its guest says are free. Undefined: none has it mounted, or it doesn't answer. */
  freeOnDisk: (container: Container) => Promise<number | undefined>;
}

/** What the container has written, in whole blocks; with the image's layers for the root. */
export async function containerSizes(container: Container, sources: SizeSources): Promise<ContainerSizes> {
  const { id, imageId } = container.record;
  const SizeRw = await sources.disks.contentBytes(id, await sources.freeOnDisk(container));
  return { SizeRw, SizeRootFs: SizeRw + (sources.images.find(imageId)?.sizeBytes ?? 0) };
}
