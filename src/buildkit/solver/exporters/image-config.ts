// The configuration of a built image: what the frontend made of it, with the layers that there are.

import { BuildError } from '../../contract/errors';
import { emptyLayer } from '../files/layer-trees';

const maxConfigBytes = 4 * 1024 * 1024;

type JsonObject = Record<string, unknown>;

/**
 * `given` is JSON of a frontend or a client (OCI image configuration), undefined where there is none. Each entry of its history that isn't
 * said to be empty has a layer; entries whose layer is the empty one become empty. Throws InvalidArgument.
 */
export function imageConfigOf(
  given: Buffer | undefined,
  diffIds: readonly string[],
  platform: { OS: string; Architecture: string; Variant: string },
  now: Date,
): Buffer {
  const config = given === undefined ? {} : parseConfig(given);
  const { OS, Architecture, Variant } = platform;
  const created = now.toISOString();
  const history: JsonObject[] = [];
  const rest = [...diffIds];
  for (const entry of historyOf(config)) {
    const diffId = entry['empty_layer'] === true ? undefined : rest.shift();
    const isEmpty = diffId === undefined || diffId === emptyLayer;
    history.push(isEmpty ? { ...entry, empty_layer: true } : entry);
  }
  for (const diffId of rest) {
    if (diffId === emptyLayer) continue;
    history.push({ created, created_by: 'buildkit', comment: 'buildkit.exporter.image.v0' });
  }
  const result = {
    architecture: Architecture,
    ...(Variant === '' ? {} : { variant: Variant }),
    os: OS,
    config: {},
    created,
    ...config,
    rootfs: { type: 'layers', diff_ids: diffIds.filter((diffId) => diffId !== emptyLayer) },
    history,
  };
  return Buffer.from(JSON.stringify(result));
}

function parseConfig(bytes: Buffer): JsonObject {
  if (bytes.length > maxConfigBytes)
    throw new BuildError('InvalidArgument', 'the image configuration is too large');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch (error) {
    throw new BuildError('InvalidArgument', 'failed to parse image config', { cause: error });
  }
  if (!isObject(value)) throw new BuildError('InvalidArgument', 'failed to parse image config: no object');
  return value;
}

function historyOf({ history = [] }: JsonObject): JsonObject[] {
  if (history === null) return [];
  if (!Array.isArray(history) || !history.every(isObject))
    throw new BuildError('InvalidArgument', 'failed to parse history of image config');
  return history;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
