// `moby` and `image`: an image in the local store, with its names, pushed where that is asked for.
//
// An image of one platform, of which nothing else is asked, is its configuration, as with a daemon that has graph drivers: a push makes
// its manifest when there is one. What has a form of its own (an index, attestations, annotations, a compression) or is pushed is assembled
// here, and kept as it is.

import { createHash } from 'node:crypto';
import { errorMessage } from '../../../errors';
import { fullString, parseReference } from '../../../registry/reference';
import { BuildError } from '../../contract/errors';
import type { Exporter, ExportRequest } from '../../contract/exporter';
import type { BuildHost, RegistryAccess } from '../../contract/host';
import type { BuildScope, Result } from '../../contract/solver';
import type { AnnotationSet } from '../delivery/annotations';
import { assemble, configOf, isIndexed, type Assembled, type AssemblyOptions } from './assembly';
import {
  compressionIn,
  epochIn,
  ExportAttributes,
  namesIn,
  type CompressionWish,
} from '../delivery/attributes';
import { tellingExport, type ExportPart } from '../delivery/export-progress';
import { authFor } from '../delivery/registry-auth';
import { withLayerTimes } from './layer-times';
import { hostPlatform, platformsOf } from '../../attestations/result-platforms';

export type InlineCacheOf = (request: ExportRequest) => AssemblyOptions['inlineCache'];

interface ImageWishes {
  readonly names: readonly string[];
  readonly push: boolean;
  readonly byDigest: boolean;
  /** In the local store. */
  readonly store: boolean;
  readonly canonical: boolean;
  readonly ociTypes: boolean | undefined;
  readonly forceAttestations: boolean;
  readonly compression: CompressionWish;
  readonly annotations: AnnotationSet;
  readonly epochSeconds: number | null | undefined;
  readonly rewritesTimes: boolean;
  readonly metadata: ReadonlyMap<string, Buffer>;
}

export function imageExporter(
  host: BuildHost,
  accessOf: (scope: BuildScope) => RegistryAccess,
  inlineCacheOf: InlineCacheOf,
): Exporter {
  return {
    types: ['moby', 'image'],
    export: async (request, signal) => {
      const { scope } = request;
      const wishes = wishesOf(request);
      const result = { ...request.result, metadata: merged(request.result, wishes) };
      const named = { ...wishes, names: namesFor(wishes, result) };
      const inlineCache = inlineCacheOf(request);
      const plain: AssemblyOptions = { ...named, ...(inlineCache === undefined ? {} : { inlineCache }) };
      return tellingExport(scope.progress, 'exporting to image', (part) =>
        withLayerTimes(host, { wanted: wishes.rewritesTimes, scope, part }, async (rewritten) => {
          const options = { ...plain, ...rewritten };
          if (!needsContents(result, named)) return storePlain(host, result, options, part, signal);
          const assembled = await assemble(host, result, options, part, signal);
          return deliver(host, assembled, named, accessOf(scope), part, signal);
        }),
      );
    },
  };
}

function wishesOf(request: ExportRequest): ImageWishes {
  const given = new ExportAttributes(request.attributes);
  const push = given.flag('push') ?? false;
  const byDigest = given.flag('push-by-digest') ?? false;
  given.refuse('prefer-nondist-layers', 'all layers are distributable');
  given.refuse('oci-artifact', 'attestations are image manifests; leave it out');
  given.refuse(
    'registry.insecure',
    "name the registry in the daemon's insecure-registries; those on loopback need nothing",
  );
  // An image is ready to run from the moment it is there, and needs no name for that.
  for (const done of [
    ...['unpack', 'load', 'dangling-name-prefix', 'danging-name-empty-only', 'buildinfo'],
    'prefer-image-digest', // the client's own, of what it prints
  ])
    given.text(done);
  const wishes = {
    names: namesIn(given.text('name')),
    push,
    byDigest,
    store: given.flag('store') ?? true,
    canonical: given.flag('name-canonical') ?? false,
    ociTypes: given.flag('oci-mediatypes'),
    forceAttestations: given.flag('attestation-inline') ?? push,
    compression: compressionIn(given),
    annotations: given.annotations(),
    epochSeconds: epochIn(given.text('source-date-epoch'), 'source-date-epoch'),
    rewritesTimes: given.flag('rewrite-timestamp') ?? false,
    metadata: given.metadata(),
  };
  given.warnOfOthers(request);
  return wishes;
}

function merged({ metadata }: Result, wishes: ImageWishes): Result['metadata'] {
  return new Map([...metadata, ...wishes.metadata]);
}

/** `*`: as the frontend names it. Throws InvalidArgument for what can be no name. */
function namesFor({ names }: ImageWishes, { metadata }: Result): readonly string[] {
  const chosen = names.join() === '*' ? namesIn(metadata.get('image.name')?.toString()) : names;
  for (const name of chosen) {
    try {
      parseReference(name);
    } catch (error) {
      throw new BuildError(
        'InvalidArgument',
        `failed to parse ${name.slice(0, 300)}: ${errorMessage(error)}`,
        {
          cause: error,
        },
      );
    }
  }
  return chosen;
}

function needsContents(result: Result, wishes: ImageWishes): boolean {
  const { push, canonical, ociTypes, forceAttestations, compression, annotations, store } = wishes;
  const hasForm = ociTypes !== undefined || !compression.isDefault || !annotations.isEmpty;
  return push || canonical || !store || hasForm || isIndexed(result, forceAttestations);
}

async function storePlain(
  host: BuildHost,
  result: Result,
  options: AssemblyOptions,
  part: ExportPart,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const [only] = platformsOf(result);
  if (only === undefined) throw new BuildError('Internal', 'a result without a platform');
  const { names } = options;
  const { config } = await part('exporting layers', () => configOf(result, only, options, signal));
  signal.throwIfAborted();
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const { id } = await part(`writing image ${digest}`, () => host.images.create(config, names));
  for (const name of names) await part(`naming to ${wholeName(name)}`, () => Promise.resolve());
  return new Map([
    ['containerimage.digest', id],
    ['containerimage.config.digest', id],
    ...(names.length === 0 ? [] : [['image.name', names.join(',')] as const]),
  ]);
}

async function deliver(
  host: BuildHost,
  { contents, descriptor, configDigest }: Assembled,
  wishes: ImageWishes,
  access: RegistryAccess,
  part: ExportPart,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const { names, push, byDigest, store, canonical } = wishes;
  signal.throwIfAborted();
  if (push && names.length === 0)
    throw new BuildError('InvalidArgument', 'a name is needed to push an image');
  if (store) {
    const digests = names.filter(() => canonical).map((name) => `${repositoryOf(name)}@${descriptor.digest}`);
    // under its digest alone an image has no name here
    const own = push && byDigest ? [] : names;
    await host.contents.createContents(contents, [...own, ...digests], hostPlatform);
    for (const name of own) await part(`naming to ${wholeName(name)}`, () => Promise.resolve());
  }
  if (push) {
    for (const name of names) {
      const auth = await authFor(name, access, signal);
      await part(`pushing ${name}`, (counter) =>
        host.contents.pushContents(contents, name, { auth, byDigest }, counter, signal),
      );
      if (store && !byDigest)
        await host.contents.createContents(
          contents,
          [`${repositoryOf(name)}@${descriptor.digest}`],
          hostPlatform,
        );
    }
  }
  return answerOf({ descriptor, configDigest }, names);
}

/** What the client is told of something assembled. */
export function answerOf(
  { descriptor, configDigest }: Pick<Assembled, 'descriptor' | 'configDigest'>,
  names: readonly string[],
): Map<string, string> {
  return new Map([
    ['containerimage.digest', descriptor.digest],
    ...(configDigest === undefined ? [] : [['containerimage.config.digest', configDigest] as const]),
    ['containerimage.descriptor', Buffer.from(JSON.stringify(descriptor)).toString('base64')],
    ...(names.length === 0 ? [] : [['image.name', names.join(',')] as const]),
  ]);
}

/** With the registry's domain. */
function wholeName(name: string): string {
  return fullString(parseReference(name));
}

function repositoryOf(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}
