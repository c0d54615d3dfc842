// `--cache-to`: a build's records and their layers, into a registry or a client's directory; `inline`, into the image.

import { Readable } from 'node:stream';
import { errorMessage } from '../../../errors';
import { familiarString, fullString, parseReference } from '../../../registry/reference';
import { BuildError } from '../../contract/errors';
import type { CacheExporter, CacheExportRequest } from '../../contract/exporter';
import type { BuildHost, RegistryAccess } from '../../contract/host';
import type { SessionCaller } from '../../contract/session';
import type { BuildScope, CachedStep, CacheSource, Ref, Result } from '../../contract/solver';
import { digestOf } from '../../llb/graph';
import { authFor } from '../delivery/registry-auth';
import { compressionIn, ExportAttributes, type CompressionWish } from '../delivery/attributes';
import { tellingExport, type ExportPart } from '../delivery/export-progress';
import { cacheConfigType, encodeConfig, encodeInline, type CacheLayer } from './cache-config';

type CallersOf = (scope: BuildScope, signal: AbortSignal) => Promise<readonly SessionCaller[]>;

interface CacheWishes {
  /** `max`: also what is no layer of the result. */
  readonly mode: 'min' | 'max';
  readonly compression: CompressionWish;
  readonly ociTypes: boolean;
  readonly asManifest: boolean;
  readonly ignoreErrors: boolean;
}

/** What is sent. */
interface CacheContents {
  readonly mediaType: string;
  readonly body: Buffer;
  readonly config: Buffer;
  readonly layers: readonly { digest: string; sizeBytes: number; open: () => Readable }[];
}

const layerType = 'application/vnd.oci.image.layer.v1.tar';
const suffixes = { none: '', gzip: '+gzip', zstd: '+zstd' } as const;

export function cacheExporters(
  host: BuildHost,
  callersOf: CallersOf,
  accessOf: (scope: BuildScope) => RegistryAccess,
): CacheExporter[] {
  return [
    {
      type: 'registry',
      export: (request, signal) => {
        const ref = requiredAttribute(request.source, 'ref');
        return telling(host, request, 'exporting cache to registry', signal, async (contents, part) => {
          const name = nameOf(ref);
          const auth = await authFor(name, accessOf(request.scope), signal);
          const { mediaType, body, config } = contents;
          const documents = { top: { mediaType, body }, manifests: [], blobs: [config] };
          await part(`writing cache manifest ${digestOf(body)}`, (counter) =>
            host.contents.pushContents(documents, name, { auth, byDigest: false }, counter, signal),
          );
        });
      },
    },
    {
      type: 'local',
      export: (request, signal) => {
        const store = `local:${requiredAttribute(request.source, 'dest')}`;
        return telling(
          host,
          request,
          'exporting cache to client directory',
          signal,
          async (contents, part) => {
            const [caller] = await callersOf(request.scope, signal);
            if (caller === undefined)
              throw new BuildError('FailedPrecondition', 'local cache exporter/importer requires session');
            const send = (digest: string, sizeBytes: number, content: Readable): Promise<void> =>
              caller.writeContent(store, { digest, sizeBytes }, content, signal);
            for (const { digest, sizeBytes, open } of contents.layers)
              await part(`writing layer ${digest}`, () => send(digest, sizeBytes, open()));
            const { config, body } = contents;
            for (const [what, bytes] of [
              ['config', config],
              ['cache manifest', body],
            ] as const) {
              const digest = digestOf(bytes);
              await part(`writing ${what} ${digest}`, () =>
                send(digest, bytes.length, Readable.from([bytes], { objectMode: false })),
              );
            }
          },
        );
      },
    },
  ];
}

/** For the configuration of one platform's image; undefined where nothing of it is known. */
export async function inlineCacheOf(
  ref: Ref | undefined,
  diffIds: readonly string[],
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return ref === undefined ? undefined : encodeInline(await ref.cachedSteps(signal), diffIds);
}

async function telling(
  host: BuildHost,
  request: CacheExportRequest,
  name: string,
  signal: AbortSignal,
  send: (contents: CacheContents, part: ExportPart) => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const wishes = wishesOf(request);
  try {
    return await tellingExport(request.scope.progress, name, async (part) => {
      const contents = await part('preparing build cache for export', () =>
        contentsOf(host, request.result, wishes, signal),
      );
      if (contents === undefined) return new Map<string, string>();
      await send(contents, part);
      const { mediaType, body } = contents;
      const descriptor = { mediaType, digest: digestOf(body), size: body.length };
      return new Map([['cache.manifest', JSON.stringify(descriptor)]]);
    });
  } catch (error) {
    if (!wishes.ignoreErrors || signal.aborted) throw error;
    const short = `cache export failed, which was to be ignored: ${errorMessage(error)}`.slice(0, 1000);
    request.scope.progress.warning({ vertex: '', level: 1, short, detail: [], url: '', ranges: [] });
    return new Map();
  }
}

function wishesOf({ source, scope }: CacheExportRequest): CacheWishes {
  const given = new ExportAttributes(source.attributes);
  given.refuse(
    'registry.insecure',
    "name the registry in the daemon's insecure-registries; those on loopback need nothing",
  );
  for (const elsewhere of ['ref', 'dest', 'tag']) given.text(elsewhere);
  const mode = given.text('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max')
    throw new BuildError('InvalidArgument', `invalid cache export mode: ${mode.slice(0, 64)}`);
  const ociTypes = given.flag('oci-mediatypes') ?? true;
  const asManifest = given.flag('image-manifest');
  if (asManifest === true && !ociTypes)
    throw new BuildError(
      'InvalidArgument',
      'invalid configuration for remote cache, OCI mediatypes are required for image-manifest cache format',
    );
  const wishes = {
    mode,
    compression: compressionIn(given),
    ociTypes,
    asManifest: asManifest ?? ociTypes,
    ignoreErrors: given.flag('ignore-error') ?? false,
  } as const;
  given.warnOfOthers({ scope, type: `${source.type} (cache)` });
  return wishes;
}

/** Undefined where there is nothing to keep. */
async function contentsOf(
  host: BuildHost,
  { ref, refs }: Result,
  wishes: CacheWishes,
  signal: AbortSignal,
): Promise<CacheContents | undefined> {
  const all = [ref, ...refs.values()].filter((each) => each !== undefined);
  const steps: CachedStep[] = [];
  for (const each of all) {
    const own = await each.cachedSteps(signal);
    const inResult = new Set(await each.layers(signal));
    const isInResult = ({ outputs }: CachedStep): boolean =>
      outputs.flat().every((diffId) => inResult.has(diffId));
    steps.push(...(wishes.mode === 'max' ? own : own.filter(isInResult)));
  }
  const layers = new Map<string, CacheLayer>();
  const sent = new Map<string, CacheContents['layers'][number]>();
  for (const diffId of new Set(steps.flatMap(({ outputs }) => outputs.flat()))) {
    const blob = await host.layers.blob(diffId, wishes.compression, signal);
    const mediaType = wishes.ociTypes
      ? layerType + suffixes[blob.compression]
      : `application/vnd.docker.image.rootfs.diff.tar${suffixes[blob.compression].replace('+', '.')}`;
    layers.set(diffId, { diffId, digest: blob.digest, sizeBytes: blob.sizeBytes, mediaType });
    sent.set(blob.digest, { digest: blob.digest, sizeBytes: blob.sizeBytes, open: () => blob.open() });
  }
  if (layers.size === 0) return undefined;
  const config = encodeConfig(steps, layers);
  return { ...documentOf(config, [...layers.values()], wishes), config, layers: [...sent.values()] };
}

function documentOf(
  config: Buffer,
  layers: readonly CacheLayer[],
  { ociTypes, asManifest }: CacheWishes,
): { mediaType: string; body: Buffer } {
  const described = [...new Map(layers.map((layer) => [layer.digest, layer])).values()].map(
    ({ mediaType, digest, sizeBytes: size, diffId }) => ({
      mediaType,
      digest,
      size,
      annotations: { 'containerd.io/uncompressed': diffId },
    }),
  );
  const ofConfig = { mediaType: cacheConfigType, digest: digestOf(config), size: config.length };
  const mediaType = asManifest
    ? 'application/vnd.oci.image.manifest.v1+json'
    : ociTypes
      ? 'application/vnd.oci.image.index.v1+json'
      : 'application/vnd.docker.distribution.manifest.list.v2+json';
  const what = asManifest ? { config: ofConfig, layers: described } : { manifests: [...described, ofConfig] };
  return { mediaType, body: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...what })) };
}

export function requiredAttribute({ type, attributes }: CacheSource, name: string): string {
  const value = attributes.get(name) ?? '';
  if (value === '') throw new BuildError('InvalidArgument', `${type} cache requires ${name}`);
  return value;
}

/** With a tag. Throws InvalidArgument for what is no name. */
export function nameOf(ref: string): string {
  try {
    const reference = parseReference(ref);
    if (reference.tag === undefined && reference.digest === undefined)
      return fullString({ ...reference, tag: 'latest' });
    return familiarString(reference);
  } catch (error) {
    throw new BuildError('InvalidArgument', `invalid cache reference: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
