// `docker` and `oci`: an image as an archive for the client (OCI image-spec, image-layout.md; and, for `docker`, the manifest.json of
// `docker save` beside it), or blob by blob into a content store of the client's.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { familiarReference, fullString, parseReference } from '../../../registry/reference';
import { buildEntry, emptyEntry, padding, tarBlock } from '../../../storage/tar/tar-header';
import type { LayerBlob } from '../../../storage/contract/stores';
import { BuildError } from '../../contract/errors';
import type { Exporter, ExportRequest } from '../../contract/exporter';
import type { BuildHost } from '../../contract/host';
import type { Result } from '../../contract/solver';
import { digestOf } from '../../llb/graph';
import { assemble, type Assembled, type Descriptor } from './assembly';
import { compressionIn, epochIn, ExportAttributes, namesIn } from '../delivery/attributes';
import { tellingExport, type ExportPart } from '../delivery/export-progress';
import { callerFor, type CallerOf } from './files';
import { answerOf, type InlineCacheOf } from './image';
import { withLayerTimes, type Rewriting } from './layer-times';

/** A blob of the archive, by its digest. */
export interface ArchivedBlob {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly open: () => Readable;
}

export function archiveExporters(
  host: BuildHost,
  callersOf: CallerOf,
  inlineCacheOf: InlineCacheOf,
): Exporter[] {
  const exporter = (type: 'docker' | 'oci'): Exporter => ({
    types: [type],
    export: (request, signal) => {
      const { options, asTar, rewritesTimes, metadata } = wishesOf(request, type);
      const result: Result = {
        ...request.result,
        metadata: new Map([...request.result.metadata, ...metadata]),
      };
      if (type === 'docker' && result.refs.size > 0)
        throw new BuildError(
          'Unimplemented',
          'docker exporter does not currently support exporting manifest lists',
        );
      const inlineCache = inlineCacheOf(request);
      const { scope } = request;
      const deliver = async (part: ExportPart, rewritten: Rewriting): Promise<Map<string, string>> => {
        const caller = await callerFor(request, callersOf, signal);
        const chosen =
          options.names.join() === '*' ? result.metadata.get('image.name')?.toString() : undefined;
        const names = chosen === undefined ? options.names : namesIn(chosen);
        const full = {
          ...options,
          ...rewritten,
          names,
          ...(inlineCache === undefined ? {} : { inlineCache }),
        };
        const assembled = await assemble(host, result, full, part, signal);
        const written = names.map((name) => fullName(name));
        const answer = answerOf(assembled, written);
        if (!asTar) {
          await part('sending content', () => sendContents(caller, assembled, signal));
          return answer;
        }
        await part('sending tarball', async () => {
          const members = writeArchive(assembled, written, type === 'docker');
          const target = caller.sendFile(request.index, answer, signal);
          await pipeline(Readable.from(members, { objectMode: false }), target, { signal });
        });
        return answer;
      };
      return tellingExport(scope.progress, `exporting to ${type} image format`, (part) =>
        withLayerTimes(host, { wanted: rewritesTimes, scope, part }, (rewritten) => deliver(part, rewritten)),
      );
    },
  });
  return [exporter('docker'), exporter('oci')];
}

function wishesOf(
  request: ExportRequest,
  type: string,
): {
  options: Omit<Parameters<typeof assemble>[2], 'inlineCache'>;
  asTar: boolean;
  rewritesTimes: boolean;
  metadata: ReadonlyMap<string, Buffer>;
} {
  const given = new ExportAttributes(request.attributes);
  given.refuse('prefer-nondist-layers', 'all layers are distributable');
  given.refuse('oci-artifact', 'attestations are image manifests; leave it out');
  for (const ofClient of ['dest', 'context', 'load', 'push']) given.text(ofClient);
  const options = {
    names: namesIn(given.text('name')),
    ociTypes: given.flag('oci-mediatypes') ?? (type === 'oci' ? true : undefined),
    compression: compressionIn(given),
    annotations: given.annotations(),
    epochSeconds: epochIn(given.text('source-date-epoch'), 'source-date-epoch'),
    forceAttestations: given.flag('attestation-inline') ?? false,
  };
  const wishes = {
    options,
    asTar: given.flag('tar') ?? true,
    rewritesTimes: given.flag('rewrite-timestamp') ?? false,
    metadata: given.metadata(),
  };
  given.warnOfOthers(request);
  return wishes;
}

/** With the registry and the tag. Throws InvalidArgument for what is no name. */
function fullName(name: string): string {
  const reference = parseReference(name);
  const isBare = reference.tag === undefined && reference.digest === undefined;
  return fullString(isBare ? { ...reference, tag: 'latest' } : reference);
}

/** All that the archive has, what is named before what names it. */
export function blobsOf({ contents, layers }: Pick<Assembled, 'contents' | 'layers'>): ArchivedBlob[] {
  const own = (bytes: Buffer): ArchivedBlob => ({
    digest: digestOf(bytes),
    sizeBytes: bytes.length,
    open: () => Readable.from([bytes], { objectMode: false }),
  });
  const ofLayer = (blob: LayerBlob): ArchivedBlob => ({
    digest: blob.digest,
    sizeBytes: blob.sizeBytes,
    open: () => blob.open(),
  });
  const documents = [...contents.manifests, contents.top].map(({ body }) => own(body));
  const all = [...[...layers.values()].map(ofLayer), ...contents.blobs.map(own), ...documents];
  return [...new Map(all.map((blob) => [blob.digest, blob])).values()];
}

async function sendContents(
  caller: Awaited<ReturnType<typeof callerFor>>,
  assembled: Assembled,
  signal: AbortSignal,
): Promise<void> {
  for (const { digest, sizeBytes, open } of blobsOf(assembled)) {
    await caller.writeContent('export', { digest, sizeBytes }, open(), signal);
  }
}

async function* writeArchive(
  assembled: Assembled,
  names: readonly string[],
  withDockerManifest: boolean,
): AsyncGenerator<Buffer> {
  const blobs = blobsOf(assembled);
  yield entry('blobs/', '5');
  yield entry('blobs/sha256/', '5');
  for (const { digest, sizeBytes, open } of blobs.sort((a, b) => (a.digest < b.digest ? -1 : 1))) {
    yield entry(blobPath(digest), '0', sizeBytes);
    let length = 0;
    for await (const chunk of open() as AsyncIterable<Buffer>) {
      length += chunk.length;
      yield chunk;
    }
    if (length !== sizeBytes)
      throw new BuildError('Internal', `a stored layer is damaged: ${digest} is not as long as it was`);
    yield padding(sizeBytes);
  }
  yield* file('index.json', indexOf(assembled.descriptor, names));
  if (withDockerManifest) yield* file('manifest.json', dockerManifest(assembled, names));
  yield* file('oci-layout', { imageLayoutVersion: '1.0.0' });
  yield Buffer.alloc(2 * tarBlock);
}

/** An entry for each name. */
function indexOf(descriptor: Descriptor, names: readonly string[]): object {
  const created = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const entries = (names.length === 0 ? [undefined] : names).map((name) => ({
    ...descriptor,
    annotations: {
      ...descriptor.annotations,
      ...(name === undefined ? {} : { 'io.containerd.image.name': name }),
      'org.opencontainers.image.created': created,
      ...(name === undefined ? {} : { 'org.opencontainers.image.ref.name': tagOf(name) }),
    },
  }));
  return { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: entries };
}

function tagOf(name: string): string {
  const { tag, digest } = parseReference(name);
  return tag ?? digest ?? 'latest';
}

/** Of the first image; attestations are no part of what `docker load` reads. */
function dockerManifest({ contents }: Assembled, names: readonly string[]): object {
  const [document = contents.top] = contents.manifests;
  const { config, layers } = JSON.parse(document.body.toString()) as {
    config: Descriptor;
    layers: Descriptor[];
  }; // of our own making
  return [
    {
      Config: blobPath(config.digest),
      RepoTags: names.length === 0 ? null : names.map((name) => familiarReference(parseReference(name))),
      Layers: layers.map(({ digest }) => blobPath(digest)),
    },
  ];
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function* file(name: string, value: object): Generator<Buffer> {
  const data = Buffer.from(JSON.stringify(value));
  yield entry(name, '0', data.length);
  yield data;
  yield padding(data.length);
}

function entry(name: string, type: '0' | '5', size = 0): Buffer {
  return buildEntry(emptyEntry({ name, type, mode: type === '5' ? 0o755 : 0o444, size, mtime: 0 }));
}
