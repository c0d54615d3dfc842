// What a container takes on disk, for `ps --size`, `inspect --size` and `system df`.

import type { ImageStore, WritableDiskStore } from '../storage/stores';
import type { ContainerRecord } from './container-record';

/** Blocks that an untouched writable disk has on the host: the file system's own. Not the container's doing. */
const emptyDiskBytes = 1_048_576;

export interface ContainerSizes {
  SizeRw: number;
  SizeRootFs: number;
}

/** Writable disk as allocated on the host, less what an empty one takes; with the image's layers for the root. */
export async function containerSizes(
  record: ContainerRecord,
  stores: { images: Pick<ImageStore, 'find'>; disks: Pick<WritableDiskStore, 'usageBytes'> },
): Promise<ContainerSizes> {
  const allocated = await stores.disks.usageBytes(record.id);
  const SizeRw = Math.max(0, allocated - emptyDiskBytes);
  return { SizeRw, SizeRootFs: SizeRw + (stores.images.find(record.imageId)?.sizeBytes ?? 0) };
}
