// remote-cache/: what was made before, in registries, images and clients' directories.
//
// BuildKit's cache configuration (application/vnd.buildkit.cacheconfig.v0): layers in chains, and records that lead from keys to
// them. Our keys say all of a vertex, so records have no inputs; `outputs` is ours, for vertexes that have several. What BuildKit itself wrote
// has other keys: it is read and never hits.

import { BuildError } from '../../contract/errors';
import type { CachedStep } from '../../contract/solver';

export const cacheConfigType = 'application/vnd.buildkit.cacheconfig.v0';

const maxRecords = 100_000;
const maxLayers = 10_000;
/** As of images. */
const maxDepth = 1000;
const maxOutputs = 1000;

export interface CacheLayer {
  readonly diffId: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

/** What a key leads to. */
export interface CacheEntry {
  /** By output: layers, lowest first; undefined: none was kept. */
  readonly outputs: readonly (readonly CacheLayer[])[];
}

interface LayerJson {
  blob: string;
  parent: number;
  annotations: { mediaType: string; diffID: string; size: number; createdAt: string };
}

interface RecordJson {
  digest: string;
  layers?: { layer: number; createdAt: string }[];
  chains?: { layers: number[] }[];
  /** Tops of chains, -1 for no layers. */
  outputs?: number[];
}

/** Of steps whose layers all are in `blobs`. */
export function encodeConfig(steps: readonly CachedStep[], blobs: ReadonlyMap<string, CacheLayer>): Buffer {
  const chains = new ChainTable(blobs);
  const records = steps.flatMap((step) => {
    const outputs = step.outputs.map((diffIds) => chains.top(diffIds));
    return recordsOf(step, outputs);
  });
  return Buffer.from(JSON.stringify({ layers: chains.layers, records }));
}

/** For an image's own configuration: layers are those of the image, by their places in it. Undefined where nothing is in it. */
export function encodeInline(steps: readonly CachedStep[], diffIds: readonly string[]): Buffer | undefined {
  const places = new Map(diffIds.map((diffId, i) => [diffId, i]));
  const records = steps.flatMap((step) => {
    const [only] = step.outputs;
    if (only === undefined || step.outputs.length !== 1 || only.length === 0) return [];
    const indexes = only.map((diffId) => places.get(diffId));
    if (indexes.some((index) => index === undefined)) return [];
    const createdAt = new Date(step.createdAtMs).toISOString();
    const inOrder = indexes.every((index, i) => index === i);
    const where = inOrder
      ? { layers: [{ layer: indexes.length - 1, createdAt }] }
      : { chains: [{ layers: indexes, createdAt }] };
    return step.keys.map((digest) => ({ digest, ...where }));
  });
  return records.length === 0 ? undefined : Buffer.from(JSON.stringify(records));
}

function recordsOf({ keys, createdAtMs }: CachedStep, outputs: readonly number[]): RecordJson[] {
  const createdAt = new Date(createdAtMs).toISOString();
  const [first = -1] = outputs;
  return keys.map((digest) => ({
    digest,
    ...(first < 0 ? {} : { layers: [{ layer: first, createdAt }] }),
    outputs: [...outputs],
  }));
}

class ChainTable {
  readonly layers: LayerJson[] = [];
  readonly #blobs: ReadonlyMap<string, CacheLayer>;
  readonly #places = new Map<string, number>();

  constructor(blobs: ReadonlyMap<string, CacheLayer>) {
    this.#blobs = blobs;
  }

  /** The place of the topmost; -1 of none. */
  top(diffIds: readonly string[]): number {
    let parent = -1;
    for (const diffId of diffIds) {
      const key = `${parent} ${diffId}`;
      const known = this.#places.get(key);
      const blob = this.#blobs.get(diffId);
      if (blob === undefined) throw new BuildError('Internal', `layer ${diffId} is missing`);
      if (known === undefined) {
        const { digest, sizeBytes: size, mediaType } = blob;
        const createdAt = '1970-01-01T00:00:00Z';
        this.layers.push({
          blob: digest,
          parent,
          annotations: { mediaType, diffID: diffId, size, createdAt },
        });
        this.#places.set(key, this.layers.length - 1);
      }
      parent = known ?? this.layers.length - 1;
    }
    return parent;
  }
}

/** Hostile: it is a registry's. Throws InvalidArgument for what is no configuration. */
export function decodeConfig(bytes: Buffer): ReadonlyMap<string, CacheEntry> {
  const { layers = [], records = [] } = parsed(bytes) as Record<string, unknown>;
  if (!Array.isArray(layers) || layers.length > maxLayers) throw malformed('layers');
  const known = layers.map(layerOf);
  return entriesOf(records, (index) => chainOf(known, index));
}

/** `layers`: the image's. */
export function decodeInline(bytes: Buffer, layers: readonly CacheLayer[]): ReadonlyMap<string, CacheEntry> {
  return entriesOf(
    parsed(bytes),
    (index) => {
      if (index >= layers.length) throw malformed('records');
      return layers.slice(0, index + 1);
    },
    layers,
  );
}

function entriesOf(
  records: unknown,
  chain: (index: number) => readonly CacheLayer[],
  flat: readonly CacheLayer[] = [],
): Map<string, CacheEntry> {
  if (!Array.isArray(records) || records.length > maxRecords) throw malformed('records');
  const entries = new Map<string, CacheEntry>();
  for (const record of records as unknown[]) {
    const { digest, layers, chains, outputs } = Object(record) as Partial<Record<keyof RecordJson, unknown>>;
    if (typeof digest !== 'string' || !/^sha256:[a-f0-9]{64}$/.test(digest)) throw malformed('records');
    const found = outputsIn({ layers, chains, outputs }, chain, flat);
    if (found !== undefined) entries.set(digest, { outputs: found });
  }
  return entries;
}

function outputsIn(
  { layers, chains, outputs }: Partial<Record<keyof RecordJson, unknown>>,
  chain: (index: number) => readonly CacheLayer[],
  flat: readonly CacheLayer[],
): (readonly CacheLayer[])[] | undefined {
  if (Array.isArray(outputs)) {
    if (outputs.length > maxOutputs) throw malformed('outputs');
    return outputs.map((index) => (index === -1 ? [] : chain(placeIn(index))));
  }
  const [first] = Array.isArray(layers) ? (layers as unknown[]) : [];
  if (first !== undefined) return [chain(placeIn((Object(first) as { layer?: unknown }).layer))];
  const [chained] = Array.isArray(chains) ? (chains as unknown[]) : [];
  const { layers: places } = Object(chained) as { layers?: unknown };
  if (!Array.isArray(places) || places.length > maxDepth) return undefined;
  return [
    places.map((place) => {
      const layer = flat[placeIn(place)];
      if (layer === undefined) throw malformed('chains');
      return layer;
    }),
  ];
}

function placeIn(index: unknown): number {
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0) throw malformed('records');
  return index;
}

/** A parent comes before its child, so there is no circle. */
function chainOf(layers: readonly { layer: CacheLayer; parent: number }[], index: number): CacheLayer[] {
  const chain: CacheLayer[] = [];
  for (let at = index; at !== -1;) {
    const entry = layers[at];
    if (entry === undefined || entry.parent >= at || chain.length >= maxDepth) throw malformed('layers');
    chain.unshift(entry.layer);
    at = entry.parent;
  }
  return chain;
}

function layerOf(value: unknown): { layer: CacheLayer; parent: number } {
  const { blob, parent, annotations } = Object(value) as Record<string, unknown>;
  const { mediaType, diffID, size } = Object(annotations) as Record<string, unknown>;
  const isDigest = (text: unknown): text is string =>
    typeof text === 'string' && /^sha256:[a-f0-9]{64}$/.test(text);
  if (!isDigest(blob) || !isDigest(diffID)) throw malformed('layers');
  if (typeof parent !== 'number' || !Number.isSafeInteger(parent) || parent < -1) throw malformed('layers');
  const sizeBytes = typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? size : 0;
  const type = typeof mediaType === 'string' ? mediaType : '';
  return { layer: { digest: blob, diffId: diffID, sizeBytes, mediaType: type }, parent };
}

function parsed(bytes: Buffer): unknown {
  try {
    return Object(JSON.parse(bytes.toString())) as unknown;
  } catch (error) {
    throw new BuildError('InvalidArgument', 'invalid cache configuration: not JSON', { cause: error });
  }
}

function malformed(what: string): BuildError {
  return new BuildError('InvalidArgument', `invalid cache configuration: ${what}`);
}
