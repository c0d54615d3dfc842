// The query of `POST /build`, read and checked as dockerd does.

import { DaemonError, errorMessage } from '../errors';
import { goQuote } from '../go-quote';
import { parseWholeValue } from '../go-json';
import type { Platform } from '../storage/stores';
import type { BuildLimits } from './build-host';
import { parsePlatform } from '../storage/platform';

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
}

/** Throws what dockerd answers; what only BuildKit can do is refused. */
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
    cacheFrom: readList(text('cachefrom')),
    pull: flag('pull'),
    remove: forceRemove || text('rm') === '' || flag('rm'),
    forceRemove,
    buildArgs: new Map(Object.entries(readMap(text('buildargs'), 'error reading build args'))),
    labels: readLabels(text('labels')),
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
      ulimits: readUlimits(text('ulimits')),
      networkMode: ['', 'default'].includes(text('networkmode')) ? 'default' : text('networkmode'),
      extraHosts: query.getAll('extrahosts'),
    },
  };
  readJson(text('outputs'), (message) => new DaemonError('Internal', message));
  if (flag('squash')) {
    throw experimental
      ? new DaemonError('NotImplemented', 'squash is not supported by Caisson')
      : invalid('squash is only supported with experimental mode');
  }
  if (text('version') === '2') {
    throw new DaemonError(
      'NotImplemented',
      'BuildKit is not supported by this daemon: set DOCKER_BUILDKIT=0 to build with the classic builder',
    );
  }
  return settings;
}

function readSize(text: string): number {
  if (text === '') return 0;
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  throw new DaemonError('Internal', `strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
}

/** `null` stands for a name without a value. */
function readMap(text: string, what: string): Record<string, string | undefined> {
  const value = readJson(text, (message) => invalid(`${what}: ${message}`)) ?? {};
  if (!isRecord(value))
    throw invalid(`${what}: json: cannot unmarshal into Go value of type map[string]*string`);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (item === null) return [key, undefined];
      if (typeof item === 'string') return [key, item];
      throw invalid(`${what}: json: cannot unmarshal ${typeof item} into Go value of type string`);
    }),
  );
}

function readLabels(text: string): Record<string, string> {
  const labels = readMap(text, 'error reading labels');
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, value ?? '']));
}

function readList(text: string): string[] {
  const value = readJson(text, (message) => new DaemonError('Internal', message)) ?? [];
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw new DaemonError('Internal', 'json: cannot unmarshal into Go value of type []string');
}

function readUlimits(text: string): object[] {
  const fail = (message: string): DaemonError => invalid(`error reading ulimit settings: ${message}`);
  const value = readJson(text, fail) ?? [];
  if (Array.isArray(value) && value.every(isRecord)) return value;
  throw fail('json: cannot unmarshal into Go value of type []*units.Ulimit');
}

function readJson(text: string, fail: (message: string) => DaemonError): unknown {
  if (text === '') return undefined;
  try {
    return parseWholeValue(text);
  } catch (error) {
    throw fail(errorMessage(error));
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): DaemonError {
  return new DaemonError('InvalidParameter', message);
}
