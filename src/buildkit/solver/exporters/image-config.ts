// The configuration of a built image: what the frontend made of it, with the layers that there are.

import { isDeepStrictEqual } from 'node:util';
import { BuildError } from '../../contract/errors';
import { emptyLayer } from '../files/layer-trees';

const maxConfigBytes = 4 * 1024 * 1024;
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

type JsonObject = Record<string, unknown>;

export interface ImageConfigOptions {
  /** SOURCE_DATE_EPOCH, seconds: nothing that the build added is later. */
  readonly epochSeconds?: number | undefined;
  /** The base image's configuration, whose times stay. */
  readonly base?: Buffer | undefined;
  /** When layers were made, by diff ID; another build of the same steps has the same times, and so the same id. */
  readonly layerTimes?: ReadonlyMap<string, Date> | undefined;
  /** JSON of `moby.buildkit.cache.v0`. */
  readonly inlineCache?: Buffer | undefined;
}

/**
 * `given` is JSON of a frontend or a client (OCI image configuration), undefined where there is none. Each entry of its history that isn't
 * said to be empty has a layer; entries whose layer is the empty one become empty. Throws InvalidArgument.
 */
export function imageConfigOf(
  given: Buffer | undefined,
  diffIds: readonly string[],
  platform: { OS: string; Architecture: string; Variant: string },
  now: Date,
  options: ImageConfigOptions = {},
): Buffer {
  const config = given === undefined ? defaultConfig() : parseConfig(given);
  const { OS, Architecture, Variant } = platform;
  const history: JsonObject[] = [];
  const rest = [...diffIds];
  for (const entry of historyOf(config)) {
    const diffId = entry['empty_layer'] === true ? undefined : rest.shift();
    if (diffId === undefined || diffId === emptyLayer) history.push({ ...entry, empty_layer: true });
    else history.push(withTime(entry, options.layerTimes?.get(diffId) ?? now));
  }
  for (const diffId of rest) {
    if (diffId === emptyLayer) continue;
    const entry = { created_by: 'buildkit', comment: 'buildkit.exporter.image.v0' };
    history.push(withTime(entry, options.layerTimes?.get(diffId) ?? now));
  }
  const dated = withTimes(history);
  const clamped = withEpoch(dated, options);
  const last = clamped.findLast((entry) => typeof entry['created'] === 'string')?.['created'];
  const { epochSeconds, inlineCache } = options;
  const result = {
    architecture: Architecture,
    ...(Variant === '' ? {} : { variant: Variant }),
    os: OS,
    config: {},
    ...config,
    created: atMost(config['created'] ?? last ?? now.toISOString(), epochSeconds),
    rootfs: { type: 'layers', diff_ids: diffIds.filter((diffId) => diffId !== emptyLayer) },
    history: clamped,
    ...(inlineCache === undefined ? {} : { 'moby.buildkit.cache.v0': inlineCache.toString('base64') }),
  };
  return Buffer.from(JSON.stringify(result));
}

/** Diff IDs of an image's configuration; of none, none. Throws InvalidArgument. */
export function baseLayersOf(config: Buffer | undefined): readonly string[] {
  if (config === undefined) return [];
  const { rootfs } = parseConfig(config);
  const { diff_ids: diffIds } = Object(rootfs) as JsonObject;
  return Array.isArray(diffIds) ? diffIds.map(String) : [];
}

function defaultConfig(): JsonObject {
  return { config: { Env: [`PATH=${defaultPath}`], WorkingDir: '/' } };
}

function isDated({ created }: JsonObject): boolean {
  return typeof created === 'string';
}

function withTime(entry: JsonObject, time: Date): JsonObject {
  return isDated(entry) ? entry : { ...entry, created: time.toISOString() };
}

/** Entries without a layer have the time of the first new layer, or of the last one before. */
function withTimes(history: readonly JsonObject[]): JsonObject[] {
  const firstUndated = history.findIndex((entry) => !isDated(entry));
  const next = history.slice(Math.max(0, firstUndated)).find(isDated);
  let created = (firstUndated < 0 ? undefined : (next ?? history.findLast(isDated)))?.['created'];
  return history.map((entry, i) => {
    if (!isDated(entry)) return created === undefined ? entry : { ...entry, created };
    if (firstUndated >= 0 && i > firstUndated) created = entry['created'];
    return entry;
  });
}

function withEpoch(history: readonly JsonObject[], { epochSeconds, base }: ImageConfigOptions): JsonObject[] {
  if (epochSeconds === undefined) return [...history];
  const inherited = base === undefined ? [] : historyOf(parseConfig(base));
  const own = history.findIndex((entry, i) => !isDeepStrictEqual(entry, inherited[i]));
  return history.map((entry, i) =>
    i < own || own < 0 ? entry : { ...entry, created: atMost(entry['created'], epochSeconds) },
  );
}

function atMost(created: unknown, epochSeconds: number | undefined): unknown {
  if (epochSeconds === undefined) return created;
  const time = typeof created === 'string' ? Date.parse(created) : Number.NaN;
  const isLater = Number.isNaN(time) || time > epochSeconds * 1000;
  return isLater ? new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z') : created;
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
