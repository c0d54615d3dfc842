// The query of `POST /build`, read and checked as dockerd does.

import { DaemonError, errorMessage, invalid } from '../errors';
import { goQuote } from '../go/quote';
import { parseWholeValue } from '../go/json';
import {
  decode,
  integer,
  list,
  map,
  string,
  stringList,
  stringMap,
  struct,
  type Schema,
} from '../go/json-schema';
import type { BuildLimits, Ulimit } from './host';
import { parsePlatform, type Platform } from '../registry/platform';

export interface BuildSettings {
  tags: string[];
  dockerfile: string;
  remote: string;
  quiet: boolean;
  noCache: boolean;
  cacheFrom: string[];
  pull: boolean;
  /** Remove intermediate containers after a step that worked; `forceRemove`: after any. */
  remove: boolean;
  forceRemove: boolean;
  buildArgs: Map<string, string | undefined>;
  labels: Record<string, string>;
  target: string;
  platform: Platform | undefined;
  limits: BuildLimits;
  /** Only BuildKit does anything with them. */
  outputs: BuildOutputRequest[];
}

export interface BuildOutputRequest {
  Type: string;
  Attrs: Record<string, string> | null;
}

const buildArgs = map(string, 'map[string]*string');
const ulimits = list(
  struct<Ulimit>('units.Ulimit', { Name: string, Hard: integer('int64'), Soft: integer('int64') }),
  '[]*units.Ulimit',
);
const outputs = list(
  struct<{ Type: string; Attrs: object }>('types.ImageBuildOutput', { Type: string, Attrs: stringMap }),
  '[]types.ImageBuildOutput',
);

/** Throws what dockerd answers. */
export function readBuildOptions(query: URLSearchParams, experimental: boolean): BuildSettings {
  const text = (name: string): string => query.get(name) ?? '';
  const flag = (name: string): boolean =>
    !['', '0', 'no', 'false', 'none'].includes(text(name).toLowerCase().trim());
  const count = (name: string): number => (/^[+-]?\d+$/.test(text(name)) ? Number(text(name)) : 0);

  if (query.has('securityopt')) {
    throw invalid('The daemon on this platform does not support setting security options on build');
  }
  if (!['', '1', '2'].includes(text('version'))) {
    throw new DaemonError('Internal', `invalid version ${JSON.stringify(text('version'))}`);
  }
  if (!['', 'default'].includes(text('isolation').toLowerCase())) {
    throw invalid(`Unsupported isolation: ${JSON.stringify(text('isolation'))}`);
  }
  const forceRemove = flag('forcerm');
  const settings: BuildSettings = {
    tags: query.getAll('t').filter((tag) => tag !== ''),
    dockerfile: text('dockerfile') === '' ? 'Dockerfile' : text('dockerfile'),
    remote: text('remote'),
    quiet: flag('q'),
    noCache: flag('nocache'),
    cacheFrom: (readJson(stringList, text('cachefrom'), internal) ?? []) as string[],
    pull: flag('pull'),
    remove: forceRemove || text('rm') === '' || flag('rm'),
    forceRemove,
    buildArgs: readBuildArgs(text('buildargs')),
    labels: (readJson(stringMap, text('labels'), prefixed('error reading labels')) ?? {}) as Record<
      string,
      string
    >,
    target: text('target'),
    platform: parsePlatform(text('platform')),
    limits: {
      memoryBytes: count('memory'),
      memorySwapBytes: count('memswap'),
      cpuShares: count('cpushares'),
      cpuPeriod: count('cpuperiod'),
      cpuQuota: count('cpuquota'),
      cpusetCpus: text('cpusetcpus'),
      cpusetMems: text('cpusetmems'),
      cgroupParent: text('cgroupparent'),
      shmBytes: readSize(text('shmsize')),
      ulimits: (readJson(ulimits, text('ulimits'), prefixed('error reading ulimit settings')) ??
        []) as Ulimit[],
      networkMode: ['', 'default'].includes(text('networkmode')) ? 'default' : text('networkmode'),
      extraHosts: query.getAll('extrahosts'),
    },
    outputs: (readJson(outputs, text('outputs'), internal) ?? []) as BuildOutputRequest[],
  };
  if (flag('squash')) {
    throw experimental
      ? new DaemonError('NotImplemented', 'squash is not supported by Caisson')
      : invalid('squash is only supported with experimental mode');
  }
  return settings;
}

/** `null` stands for a name without a value. */
function readBuildArgs(text: string): Map<string, string | undefined> {
  const args = readJson(buildArgs, text, prefixed('error reading build args')) ?? {};
  return new Map(
    Object.entries(args as Record<string, string | null>).map(([key, value]) => [key, value ?? undefined]),
  );
}

function readSize(text: string): number {
  if (text === '') return 0;
  const fail = (reason: string): DaemonError =>
    new DaemonError('Internal', `strconv.ParseInt: parsing ${goQuote(text)}: ${reason}`);
  if (!/^[+-]?\d+$/.test(text)) throw fail('invalid syntax');
  const size = Number(text);
  if (size < -(2 ** 63) || size >= 2 ** 63) throw fail('value out of range');
  return size;
}

/** A parameter's JSON as what the schema stands for; undefined if there is none. Throws what `fail` makes of an error. */
function readJson(schema: Schema, text: string, fail: (message: string) => DaemonError): unknown {
  if (text === '') return undefined;
  try {
    return decode(schema, parseWholeValue(text));
  } catch (error) {
    throw fail(errorMessage(error));
  }
}

function internal(message: string): DaemonError {
  return new DaemonError('Internal', message);
}

function prefixed(what: string): (message: string) => DaemonError {
  return (message) => invalid(`${what}: ${message}`);
}
