// What loading an image takes, whatever the form of its archive.

import { DaemonError, errorMessage } from '../../errors';
import { parseWholeValue } from '../../go/json';
import { decode, type Schema } from '../../go/json-schema';
import type { ArchiveFile } from './archive-file';
import type { ImageIndex } from '../images/image-index';
import type { AddLayerOptions, LayerRecord, SquashfsLayerStore } from '../layers/layer-store';
import { progressLine, ProgressReport } from '../transfers/progress-report';
import type { ProgressSink } from '../contract/stores';

export interface LoadContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  /** Where the archive is spooled. */
  temporaryDir: string;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

export interface LoadOptions {
  quiet: boolean;
  progress: ProgressSink;
  signal: AbortSignal;
}

/** Gives a loaded image a name in familiar form, and tells if that was another's. */
export function setLoadedName(
  context: LoadContext,
  { id, contents }: { id: string; contents?: string | undefined },
  name: string,
  progress: ProgressSink,
): void {
  const before = context.index.nameTarget(name);
  if (before !== undefined && before !== id) {
    const stream = `The image ${name} already exists, renaming the old one with ID ${before} to empty string\n`;
    progress({ stream });
  }
  context.index.setName(name, id, true, contents);
}

/** Takes a member of the archive into the layer store. `id` is what the progress lines call it. */
export async function storeLayer(
  { layers }: LoadContext,
  archive: ArchiveFile,
  { name, id, ...options }: { name: string; id: string } & Omit<AddLayerOptions, 'signal'>,
  { quiet, progress, signal }: LoadOptions,
): Promise<LayerRecord> {
  const total = archive.sizeOf(name);
  const report = new ProgressReport('Loading layer', id, total, quiet ? () => undefined : progress);
  const onRead = (bytes: number): void => report.count(bytes);
  const layer = await layers.add(archive.range(name), { ...options, onRead, signal });
  if (!quiet) progress(progressLine('Loading layer', id, total, total));
  return layer;
}

/** Throws Internal in the words of Go's encoding/json. */
export function decodeAs(schema: Schema, value: unknown): unknown {
  try {
    return decode(schema, value);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
}

/** Throws Internal in the words of Go's encoding/json. */
export function parsedJson(text: string): unknown {
  try {
    return parseWholeValue(text);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
}
