// `docker import`: an image of one layer from a root file system's tar, and the Dockerfile instructions of `--change`.

import { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import { familiarReference, parseReference, type Reference } from '../../registry/reference';
import { applyChanges } from '../../dockerfile/image-changes';
import type { ImageConfig, ImageRunConfig } from '../../docker/image-config';
import type { ImageIndex } from '../images/image-index';
import { holdingLayers } from '../images/layer-garbage';
import type { SquashfsLayerStore } from '../layers/layer-store';
import type { Platform } from '../../registry/platform';

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
  return holdingLayers(context, [], async (onDiffId) => {
    const stream = Readable.from(source as AsyncIterable<Buffer>, { objectMode: false });
    const { diffId } = await context.layers.add(stream, { signal, onDiffId });
    return addImported(context, diffId, { ...options, runConfig, name: parsed });
  });
}

function addImported(
  context: ImportContext,
  diffId: string,
  options: { runConfig: ImageRunConfig; name: Reference | undefined; message: string; platform?: Platform },
): string {
  const created = new Date().toISOString();
  const config: ImageConfig = {
    architecture: options.platform?.architecture ?? 'amd64',
    ...(options.platform?.variant === undefined ? {} : { variant: options.platform.variant }),
    os: options.platform?.os ?? 'linux',
    created,
    comment: options.message,
    config: options.runConfig,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, comment: options.message }],
  };
  const image = context.index.add(JSON.stringify(config));
  if (options.name !== undefined) {
    const name = familiarReference(options.name);
    context.index.setName(name, image.id, true);
    context.publish('tag', image.id, { name });
  }
  context.publish('import', image.id, { name: image.id });
  return image.id;
}
