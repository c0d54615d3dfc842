// What a client asks of the frontend: its options by name (`filename`, `build-arg:NAME`, …), checked.

import { parseGoBool } from '../../../go/bool';
import { BuildError } from '../../contract/errors';
import type { FrontendRequest } from '../../contract/frontend';
import type { ImageResolveMode, Platform } from '../../contract/llb';
import type { CacheSource } from '../../contract/solver';
import { networkMode, type Meta } from '../../messages/ops';
import { csvFields } from '../syntax/csv';
import { DockerfileProblem } from '../text/problem';
import { readPlatform } from './platforms';

export type NetworkName = 'sandbox' | 'host' | 'none';
export type Ulimit = Meta['ulimit'][number];
export type HostAddress = Meta['extraHosts'][number];

export interface BuildOptions {
  /** Path of the Dockerfile in its directory. */
  readonly filename: string;
  /** '' for the last stage. */
  readonly target: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** Of named contexts, by name and platform (`name::linux/arm64`). */
  readonly contexts: ReadonlyMap<string, string>;
  readonly inputMetadata: ReadonlyMap<string, string>;
  /** A URL; '' for the client's directory. */
  readonly mainContext: string;
  readonly contextName: string;
  readonly dockerfileName: string;
  readonly localSessions: ReadonlyMap<string, string>;
  /** `all`, or the stages that are built anew. */
  readonly noCache: 'all' | ReadonlySet<string>;
  readonly resolveMode: ImageResolveMode;
  /** Undefined: those of the native one. */
  readonly platforms: readonly Platform[] | undefined;
  readonly isMultiPlatform: boolean | undefined;
  readonly extraHosts: readonly HostAddress[];
  readonly ulimits: readonly Ulimit[];
  readonly shmSizeBytes: number;
  readonly cgroupParent: string;
  readonly hostname: string;
  readonly network: NetworkName;
  readonly cacheImports: readonly CacheSource[];
  /** `gateway.v0` asks for this image's frontend. */
  readonly commandLine: string;
  readonly requestId: string;
  readonly keepsGitDir: boolean;
  /** `BUILDKIT_SYNTAX`; '' for none. */
  readonly syntax: string;
  /** `BUILDKIT_DOCKERFILE_CHECK`, undefined where it isn't given. */
  readonly check: string | undefined;
  /** `SOURCE_DATE_EPOCH`, seconds. */
  readonly epochSeconds: number | undefined;
  readonly hasContextSubdirectory: boolean;
}

const maxOptions = 10_000;

/** Throws BuildError InvalidArgument for what can't be read. */
export function readOptions({ options }: FrontendRequest): BuildOptions {
  if (options.size > maxOptions) throw invalid(`more than ${maxOptions} options`);
  const get = (name: string): string => options.get(name) ?? '';
  const buildArgs = withPrefix(options, 'build-arg:');
  return {
    filename: get('filename') === '' ? 'Dockerfile' : get('filename'),
    target: get('target'),
    buildArgs,
    labels: withPrefix(options, 'label:'),
    contexts: withPrefix(options, 'context:'),
    inputMetadata: withPrefix(options, 'input-metadata:'),
    mainContext: get('context'),
    contextName: get('contextkey') === '' ? 'context' : get('contextkey'),
    dockerfileName: get('dockerfilekey') === '' ? 'dockerfile' : get('dockerfilekey'),
    localSessions: withPrefix(options, 'local-sessionid:'),
    noCache: noCacheOf(options.get('no-cache')),
    resolveMode: resolveModeOf(get('image-resolve-mode')),
    platforms: platformsOf(get('platform')),
    isMultiPlatform: booleanOf(
      'multi-platform',
      options.get('multi-platform') ?? buildArgs.get('BUILDKIT_MULTI_PLATFORM'),
    ),
    extraHosts: extraHostsOf(get('add-hosts')),
    ulimits: ulimitsOf(get('ulimit')),
    shmSizeBytes: shmSizeOf(get('shm-size')),
    cgroupParent: get('cgroup-parent'),
    hostname: options.get('hostname') ?? buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME') ?? '',
    network: networkOf(get('force-network-mode')),
    cacheImports: cacheImportsOf(options),
    commandLine: get('cmdline'),
    requestId: get('requestid'),
    keepsGitDir:
      booleanOf('BUILDKIT_CONTEXT_KEEP_GIT_DIR', buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR')) ?? false,
    syntax: buildArgs.get('BUILDKIT_SYNTAX') ?? '',
    check: buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'),
    epochSeconds: epochOf(buildArgs.get('SOURCE_DATE_EPOCH')),
    hasContextSubdirectory: get('contextsubdir') !== '',
  };
}

function withPrefix(options: ReadonlyMap<string, string>, prefix: string): Map<string, string> {
  return new Map(
    [...options].flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
    ),
  );
}

function noCacheOf(value: string | undefined): BuildOptions['noCache'] {
  if (value === undefined) return new Set();
  if (value === '') return 'all';
  return new Set(fieldsOf('no-cache', value).map((name) => name.toLowerCase()));
}

function resolveModeOf(text: string): ImageResolveMode {
  if (text === '' || text === 'default') return 'default';
  if (text === 'pull' || text === 'local') return text;
  throw invalid(`invalid image-resolve-mode: ${text}`);
}

function platformsOf(text: string): Platform[] | undefined {
  if (text === '') return undefined;
  return text.split(',').map((part) => {
    try {
      return readPlatform(part.trim());
    } catch (error) {
      if (!(error instanceof DockerfileProblem)) throw error;
      throw new BuildError('InvalidArgument', `failed to parse target platform ${part}: ${error.message}`, {
        cause: error,
      });
    }
  });
}

/** `host=ip,…`. */
function extraHostsOf(text: string): HostAddress[] {
  if (text === '') return [];
  return fieldsOf('add-hosts', text).map((field) => {
    const equals = field.indexOf('=');
    if (equals < 1) throw invalid(`invalid key-value pair ${field}`);
    return { Host: field.slice(0, equals), IP: field.slice(equals + 1).replace(/^\[(.*)\]$/, '$1') };
  });
}

/** `name=soft[:hard],…`. */
function ulimitsOf(text: string): Ulimit[] {
  if (text === '') return [];
  return fieldsOf('ulimit', text).map((field) => {
    const [, Name, soft = '', hard = soft] = /^([a-z]+)=(-?\d{1,15})(?::(-?\d{1,15}))?$/.exec(field) ?? [];
    if (Name === undefined) throw invalid(`invalid ulimit argument: ${field}`);
    return { Name, Soft: Number(soft), Hard: Number(hard) };
  });
}

function shmSizeOf(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,15}$/.test(text)) throw invalid(`failed to parse shm size: ${text}`);
  return Number(text);
}

function networkOf(text: string): NetworkName {
  if (text === '' || text === 'sandbox' || text === 'default') return 'sandbox';
  if (text === 'host' || text === 'none') return text;
  throw invalid(`invalid network mode ${text}; one of ${Object.keys(networkMode).join(', ')}`);
}

function cacheImportsOf(options: ReadonlyMap<string, string>): CacheSource[] {
  const json = options.get('cache-imports');
  if (json !== undefined) return cacheImportsJson(json);
  const refs = options.get('cache-from') ?? '';
  if (refs === '') return [];
  return refs.split(',').map((ref) => ({ type: 'registry', attributes: new Map([['ref', ref]]) }));
}

function cacheImportsJson(json: string): CacheSource[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new BuildError('InvalidArgument', `failed to unmarshal cache-imports (${json.slice(0, 200)})`, {
      cause: error,
    });
  }
  if (value === null) return [];
  if (!Array.isArray(value)) throw invalid('cache-imports is no list');
  return value.map((entry: unknown) => {
    const { Type = '', Attrs = {} } = (entry ?? {}) as { Type?: unknown; Attrs?: unknown }; // each is looked at
    if (typeof Type !== 'string' || typeof Attrs !== 'object' || Attrs === null)
      throw invalid('cache-imports has an entry that is none');
    const attributes = Object.entries(Attrs).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string',
    );
    return { type: Type, attributes: new Map(attributes) };
  });
}

/** As configurations of images say it, in Go's form. */
export function createdAt(epochSeconds: number | undefined): { created?: string } {
  if (epochSeconds === undefined) return {};
  return { created: new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z') };
}

function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^-?\d{1,12}$/.test(text)) {
    const shown = text.slice(0, 100);
    const why = `strconv.ParseInt: parsing ${JSON.stringify(shown)}: invalid syntax`;
    throw new BuildError('Unknown', `invalid SOURCE_DATE_EPOCH: ${shown}: ${why}`);
  }
  return Number(text);
}

function booleanOf(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined || text === '') return undefined;
  const value = parseGoBool(text);
  if (value === undefined) throw invalid(`invalid boolean value for ${name}: ${text.slice(0, 100)}`);
  return value;
}

function fieldsOf(name: string, text: string): string[] {
  try {
    return csvFields(text);
  } catch (error) {
    if (!(error instanceof DockerfileProblem)) throw error;
    throw new BuildError('InvalidArgument', `failed to parse ${name}: ${error.message}`, { cause: error });
  }
}

function invalid(reason: string): BuildError {
  return new BuildError('InvalidArgument', reason);
}
