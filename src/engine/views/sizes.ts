// What a container takes on disk, for `ps --size`, `inspect --size` and `system df`.

import { within } from '../../async/deadline';
import type { ImageStore, WritableDiskStore } from '../../storage/contract/stores';
import type { ContainerSizes } from '../../semantics/views/list';
import type { Container } from '../core/container-registry';

/** A container that is being started or removed for longer has a size all the same. */
const writeBackMs = 10_000;

export interface SizeSources {
  images: Pick<ImageStore, 'find'>;
  disks: Pick<WritableDiskStore, 'fileBytes'>;
  /** Bytes of the files that the container has written, by its guest. Undefined: it doesn't run, or its guest doesn't answer. */
  writtenBytes: (container: Container) => Promise<number | undefined>;
}

/** What the files of the container take that it has written; with the image's for the root. */
export async function containerSizes(container: Container, sources: SizeSources): Promise<ContainerSizes> {
  const { imageId } = container.record;
  const SizeRw = (await sources.writtenBytes(container)) ?? (await diskBytes(container, sources));
  return { SizeRw, SizeRootFs: SizeRw + (sources.images.find(imageId)?.sizeBytes ?? 0) };
}

/** Everybody learns of an exit before the guest has written the disk back, which is the same turn of the container's. */
async function diskBytes(container: Container, { disks }: SizeSources): Promise<number> {
  const { operations, id } = container;
  if (!operations.idle) {
    const writtenBack = operations.run(() => Promise.resolve());
    await within(writtenBack, writeBackMs).catch(() => undefined);
  }
  return disks.fileBytes(id);
}
