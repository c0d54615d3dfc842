// What a container takes on disk, for `ps --size`, `inspect --size` and `system df`.

import type { ImageStore, WritableDiskStore } from '../storage/stores';
import type { ContainerRecord } from './container-record';

export interface ContainerSizes {
  SizeRw: number;
  SizeRootFs: number;
}

/** What the container has written, in whole blocks; with the image's layers for the root. */
export async function containerSizes(
  record: ContainerRecord,
  stores: { images: Pick<ImageStore, 'find'>; disks: Pick<WritableDiskStore, 'contentBytes'> },
): Promise<ContainerSizes> {
  const SizeRw = await stores.disks.contentBytes(record.id);
  return { SizeRw, SizeRootFs: SizeRw + (stores.images.find(record.imageId)?.sizeBytes ?? 0) };
}
