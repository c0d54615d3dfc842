// Manifests of a result (OCI image-spec manifest.md, image-index.md; Docker's schema 2): one for each platform, its attestations
// beside it, and an index over them where there is more than one, or an attestation.

import { BuildError } from '../../contract/errors';
import type { BuildHost } from '../../contract/host';
import type { Attestation, CachedStep, LayerDescriptor, Result } from '../../contract/solver';
import { digestOf } from '../../llb/graph';
import { statementOf } from '../../attestations/statement';
import type { ContentDocument, ImageContents, LayerBlob } from '../../../storage/contract/stores';
import { emptyLayer } from '../files/layer-trees';
import type { AnnotationSet } from '../delivery/annotations';
import type { CompressionWish } from '../delivery/attributes';
import type { ExportPart } from '../delivery/export-progress';
import { baseLayersOf, imageConfigOf } from './image-config';
import type { RewrittenLayers } from './layer-times';
import {
  metadataOf,
  platformsOf,
  type OciPlatform,
  type PlatformResult,
} from '../../attestations/result-platforms';

export interface AssemblyOptions {
  /** Undefined: OCI's where attestations need them, else Docker's. */
  readonly ociTypes: boolean | undefined;
  readonly compression: CompressionWish;
  readonly annotations: AnnotationSet;
  /** null: none, whatever the frontend says. */
  readonly epochSeconds: number | null | undefined;
  /** Subjects of attestations. */
  readonly names: readonly string[];
  /** Attestations that were not asked for make no index of an image of one platform. */
  readonly forceAttestations: boolean;
  /** Whether and how times in layers are rewritten. */
  readonly rewritten?: RewrittenLayers;
  /** By the id of a platform, for its layers. */
  readonly inlineCache?: (
    platform: PlatformResult,
    diffIds: readonly string[],
    signal: AbortSignal,
  ) => Promise<Buffer | undefined>;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Record<string, string>;
  readonly platform?: OciPlatform;
}

export interface Assembled {
  readonly contents: ImageContents;
  readonly descriptor: Descriptor;
  /** Of an image without an index. */
  readonly configDigest: string | undefined;
  /** By their digests: what the manifests name besides `contents.blobs`. */
  readonly layers: ReadonlyMap<string, LayerBlob>;
}

const types = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar',
    gzip: '+gzip',
    zstd: '+zstd',
    none: '',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar',
    gzip: '.gzip',
    zstd: '.zstd',
    none: '',
  },
} as const;
const statementType = 'application/vnd.in-toto+json';
const unknownPlatform: OciPlatform = { architecture: 'unknown', os: 'unknown' };

/** The result's refs must have been evaluated; their layers are held by the build. */
export async function assemble(
  host: BuildHost,
  result: Result,
  options: AssemblyOptions,
  part: ExportPart,
  signal: AbortSignal,
): Promise<Assembled> {
  const assembly = new Assembly(host, result, options, part, signal);
  return assembly.run();
}

/** Whether it would be an index. */
export function isIndexed(result: Result, forceAttestations: boolean): boolean {
  if (result.refs.size > 0) return true;
  const all = [...(result.attestations?.values() ?? [])].flat();
  return all.some(({ inlineOnly }) => forceAttestations || !inlineOnly);
}

/** The configuration of one platform's image, and its layers without the empty ones; `made` as the steps made them. */
export async function configOf(
  result: Result,
  each: PlatformResult,
  options: Pick<AssemblyOptions, 'epochSeconds' | 'inlineCache' | 'rewritten'>,
  signal: AbortSignal,
): Promise<{ config: Buffer; diffIds: readonly string[]; made: readonly string[] }> {
  const given = (await each.ref?.layers(signal)) ?? [];
  const made = given.filter((diffId) => diffId !== emptyLayer);
  const { os, architecture, variant = '' } = each.platform;
  const epoch = options.epochSeconds === undefined ? epochOf(result, each.id) : options.epochSeconds;
  const base = metadataOf(result, 'containerimage.base.config', each.id);
  const diffIds =
    options.rewritten === undefined
      ? made
      : await options.rewritten.of({ diffIds: made, base: baseLayersOf(base) }, epoch ?? undefined, signal);
  const newNames = new Map(made.map((diffId, i) => [diffId, diffIds[i] ?? diffId]));
  const renamed = (diffId: string): string => newNames.get(diffId) ?? diffId;
  const config = imageConfigOf(
    metadataOf(result, 'containerimage.config', each.id),
    given.map(renamed),
    { OS: os, Architecture: architecture, Variant: variant },
    new Date(),
    {
      epochSeconds: epoch ?? undefined,
      base,
      layerTimes: layerTimes((await each.ref?.cachedSteps(signal)) ?? [], renamed),
      inlineCache: await options.inlineCache?.(each, made, signal), // which knows places, and these stay
    },
  );
  return { config, diffIds, made };
}

/** A layer is as old as the first step that has it. */
function layerTimes(steps: readonly CachedStep[], renamed: (diffId: string) => string): Map<string, Date> {
  const times = new Map<string, Date>();
  const byAge = [...steps].sort((a, b) => a.createdAtMs - b.createdAtMs);
  for (const { outputs, createdAtMs } of byAge) {
    for (const diffId of outputs.flat().map(renamed)) {
      if (!times.has(diffId)) times.set(diffId, new Date(createdAtMs));
    }
  }
  return times;
}

/** SOURCE_DATE_EPOCH as the frontend says it. */
export function epochOf(result: Result, id: string): number | undefined {
  const text = metadataOf(result, 'source.date.epoch', id)?.toString();
  if (text === undefined || text === '') return undefined;
  if (!/^[+-]?\d{1,15}$/.test(text))
    throw new BuildError(
      'InvalidArgument',
      `invalid SOURCE_DATE_EPOCH from frontend: ${JSON.stringify(text)}`,
    );
  return Number(text);
}

class Assembly {
  readonly #host: BuildHost;
  readonly #result: Result;
  readonly #options: AssemblyOptions;
  readonly #part: ExportPart;
  readonly #signal: AbortSignal;
  readonly #isOci: boolean;
  readonly #layers = new Map<string, LayerBlob>();
  /** By diff ID. */
  readonly #descriptors = new Map<string, LayerDescriptor>();
  readonly #blobs = new Map<string, Buffer>();

  constructor(
    host: BuildHost,
    result: Result,
    options: AssemblyOptions,
    part: ExportPart,
    signal: AbortSignal,
  ) {
    this.#host = host;
    this.#result = result;
    this.#options = options;
    this.#part = part;
    this.#signal = signal;
    const hasAttestations = (result.attestations?.size ?? 0) > 0;
    const { ociTypes, annotations } = options;
    this.#isOci = ociTypes ?? (hasAttestations || annotations.needsOci);
    if (!this.#isOci && annotations.needsOci)
      throw new BuildError('InvalidArgument', 'cannot export annotations with "oci-mediatypes=false"');
    if (!this.#isOci && isIndexed(result, options.forceAttestations) && hasAttestations)
      throw new BuildError('InvalidArgument', 'cannot export attestations with "oci-mediatypes=false"');
  }

  async run(): Promise<Assembled> {
    const platforms = platformsOf(this.#result);
    const { annotations, forceAttestations } = this.#options;
    annotations.requirePlatforms(platforms.map(({ id }) => id));
    const made = await this.#part('exporting layers', () =>
      Promise.all(platforms.map((each) => this.#prepare(each))),
    );
    const [only] = made;
    if (!isIndexed(this.#result, forceAttestations) && only !== undefined) {
      if (annotations.needsIndex)
        throw new BuildError('InvalidArgument', 'index annotations not supported for single platform export');
      const { document, descriptor, configDigest } = await this.#manifest(only);
      const contents = { top: document, manifests: [], blobs: [...this.#blobs.values()] };
      return { contents, descriptor, configDigest, layers: this.#layers };
    }
    const images: { document: ContentDocument; descriptor: Descriptor }[] = [];
    const attestations: { document: ContentDocument; descriptor: Descriptor }[] = [];
    for (const each of made) {
      const image = await this.#manifest(each);
      images.push(image);
      const { attestations: own } = each.platform;
      if (own.length > 0) attestations.push(await this.#attestations(each.platform, image.descriptor, own));
    }
    const all = [...images, ...attestations];
    const { index, indexDescriptor } = annotations.of();
    const mediaType = this.#types.index;
    const top = documentOf(mediaType, {
      schemaVersion: 2,
      mediaType,
      manifests: all.map(({ descriptor }) => descriptor),
      ...annotated(index),
    });
    const descriptor = { ...descriptorOf(top), ...annotated(indexDescriptor) };
    await this.#part(`exporting manifest list ${descriptor.digest}`, () => Promise.resolve());
    const contents = {
      top,
      manifests: all.map(({ document }) => document),
      blobs: [...this.#blobs.values()],
    };
    return { contents, descriptor, configDigest: undefined, layers: this.#layers };
  }

  get #types(): (typeof types)['oci' | 'docker'] {
    return this.#isOci ? types.oci : types.docker;
  }

  async #prepare(platform: PlatformResult): Promise<{
    platform: PlatformResult;
    config: Buffer;
    layers: readonly Descriptor[];
  }> {
    const { config, diffIds, made } = await configOf(this.#result, platform, this.#options, this.#signal);
    const layers: Descriptor[] = [];
    const names = this.#types;
    for (const [i, diffId] of diffIds.entries()) {
      const blob = await this.#host.layers.blob(diffId, this.#options.compression, this.#signal);
      if (blob.compression === 'zstd' && this.#options.ociTypes === false)
        throw new BuildError(
          'InvalidArgument',
          'exporter option "compression=zstd" conflicts with "oci-mediatypes=false"',
        );
      this.#layers.set(blob.digest, blob);
      const { digest, sizeBytes: size } = blob;
      const descriptor = { mediaType: names.layer + names[blob.compression], digest, size };
      this.#descriptors.set(made[i] ?? diffId, descriptor);
      layers.push(descriptor);
    }
    return { platform, config, layers };
  }

  async #manifest(made: {
    platform: PlatformResult;
    config: Buffer;
    layers: readonly Descriptor[];
  }): Promise<{ document: ContentDocument; descriptor: Descriptor; configDigest: string }> {
    const names = this.#types;
    const annotations = this.#options.annotations.of(made.platform.id);
    const config = this.#blob(names.config, made.config);
    const document = documentOf(names.manifest, {
      schemaVersion: 2,
      mediaType: names.manifest,
      config,
      layers: made.layers,
      ...annotated(annotations.manifest),
    });
    const descriptor = {
      ...descriptorOf(document),
      ...annotated(annotations.manifestDescriptor),
      platform: made.platform.platform,
    };
    await this.#part(`exporting manifest ${descriptor.digest}`, () => Promise.resolve());
    await this.#part(`exporting config ${config.digest}`, () => Promise.resolve());
    return { document, descriptor, configDigest: config.digest };
  }

  async #attestations(
    { platform }: PlatformResult,
    image: Descriptor,
    attestations: readonly Attestation[],
  ): Promise<{ document: ContentDocument; descriptor: Descriptor }> {
    const names = this.#types;
    const layers: Descriptor[] = [];
    for (const attestation of attestations) {
      const statement = await statementOf(
        attestation,
        { names: this.#options.names, digest: image.digest, platform, layers: this.#descriptors },
        this.#signal,
      );
      layers.push({
        ...this.#blob(statementType, statement),
        annotations: { 'in-toto.io/predicate-type': attestation.predicateType },
      });
    }
    const config = this.#blob(
      names.config,
      Buffer.from(
        JSON.stringify({
          ...unknownPlatform,
          config: {},
          rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
        }),
      ),
    );
    const document = documentOf(names.manifest, {
      schemaVersion: 2,
      mediaType: names.manifest,
      config,
      layers,
    });
    const descriptor = {
      ...descriptorOf(document),
      annotations: {
        'vnd.docker.reference.digest': image.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
      platform: unknownPlatform,
    };
    await this.#part(`exporting attestation manifest ${descriptor.digest}`, () => Promise.resolve());
    return { document, descriptor };
  }

  #blob(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }
}

/** As BuildKit writes it. */
function documentOf(mediaType: string, value: object): ContentDocument {
  return { mediaType, body: Buffer.from(JSON.stringify(value, undefined, 2)) };
}

function descriptorOf({ mediaType, body }: ContentDocument): Descriptor {
  return { mediaType, digest: digestOf(body), size: body.length };
}

function annotated(values: Record<string, string>): { annotations?: Record<string, string> } {
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.length === 0 ? {} : { annotations: Object.fromEntries(sorted) };
}
