// What a container takes on disk, for `ps --size`, `inspect --size` and `system df`.

import type { ImageStore, WritableDiskStore } from '../../storage/contract/stores';
import type { ContainerSizes } from '../../semantics/views/list';
import type { Container } from '../core/container-registry';

export interface SizeSources {
  images: Pick<ImageStore, 'find'>;
  disks: Pick<WritableDiskStore, 'fileBytes'>;
  /** Bytes of the files that the container has written, by its guest. Undefined: it doesn't run, or its guest doesn't answer. */
  writtenBytes: (container: Container) => Promise<number | undefined>;
}

/** What the files of the container take that it has written; with the image's for the root. */
export async function containerSizes(container: Container, sources: SizeSources): Promise<ContainerSizes> {
  const { id, imageId } = container.record;
  const SizeRw = (await sources.writtenBytes(container)) ?? (await sources.disks.fileBytes(id));
  return { SizeRw, SizeRootFs: SizeRw + (sources.images.find(imageId)?.sizeBytes ?? 0) };
}
