// `docker import`: an image of one layer from a root file system's tar, and the Dockerfile instructions of `--change`.

import { Readable } from 'node:stream';
import { DaemonError } from '../errors';
import { familiarReference, parseReference } from '../registry/reference';
import { applyChanges } from './image-changes';
import type { ImageConfig } from './image';
import type { ImageIndex } from './image-index';
import type { SquashfsLayerStore } from './layer-store';
import type { Platform } from './stores';

export interface ImportContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

export async function importTar(
  context: ImportContext,
  source: NodeJS.ReadableStream,
  options: { reference?: string; changes: string[]; message: string; platform?: Platform },
  signal: AbortSignal,
): Promise<string> {
  const { reference } = options;
  const parsed = reference === undefined || reference === '' ? undefined : parseReference(reference);
  if (parsed?.digest !== undefined) {
    throw new DaemonError('InvalidParameter', 'cannot import digest reference');
  }
  const runConfig = applyChanges({}, options.changes);
  const layer = await context.layers.add(
    Readable.from(source as AsyncIterable<Buffer>, { objectMode: false }),
    { signal },
  );
  const created = new Date().toISOString();
  const config: ImageConfig = {
    architecture: options.platform?.architecture ?? 'amd64',
    ...(options.platform?.variant === undefined ? {} : { variant: options.platform.variant }),
    os: options.platform?.os ?? 'linux',
    created,
    comment: options.message,
    config: runConfig,
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    history: [{ created, comment: options.message }],
  };
  const image = context.index.add(JSON.stringify(config));
  if (parsed !== undefined) {
    const name = familiarReference(parsed);
    context.index.setName(name, image.id, true);
    context.publish('tag', image.id, { name });
  }
  context.publish('import', image.id, { name: image.id });
  return image.id;
}
