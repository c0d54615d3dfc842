// The registry that the operator names (--kube-registry): what is loaded, imported, committed or built goes there, since nodes pull what
// they run.

import type { ImageConfig } from '../../docker/image-config';
import { DaemonError } from '../../errors';
import type { Reference } from '../../registry/reference';
import { parseReference } from '../../registry/reference';
import { RegistryClient, type RegistryOptions } from '../../registry/registry-client';
import { RegistryUpload, type BlobDescriptor } from '../../registry/registry-upload';
import { pushLayer, pushManifest } from '../../storage/transfers/image-push';
import type { ImageLayer, ImageSource, ImageView } from '../images/image-catalog';
import { originOf, pushBlob } from '../images/image-push';
import type { PullSecrets } from '../images/pull-secrets';
import type { Workshop } from './workshop';

export interface OwnRegistrySettings {
  /** `registry.example/team/images`; a host alone: the repository `caisson` there. */
  repository: string;
  /** Secret of the namespace, of the type kubernetes.io/dockerconfigjson, by which daemon and nodes are let in. */
  secret: string | undefined;
}

/** An image that is to be there. */
export interface WholeImage {
  id: string;
  configText: string;
  config: ImageConfig;
}

/** Where it is, and as which blobs. */
export interface StoredImage {
  source: ImageSource;
  layers: ImageLayer[];
}

/** Where an image's layers are. */
export interface LayerPlaces {
  workshop: Workshop;
  view: ImageView;
  /** Layers of no image that is known here: where else they are. */
  elsewhere?: ImageView['findLayer'];
  /** By diff ID, what is in the registry: for who puts several images there, one on top of another. */
  there?: Map<string, BlobDescriptor>;
}

/** All of one image: what its steps need. */
interface Putting extends LayerPlaces {
  upload: RegistryUpload;
  signal: AbortSignal;
}

export class OwnRegistry {
  readonly #reference: Reference;
  readonly #settings: OwnRegistrySettings;
  readonly #secrets: PullSecrets;
  readonly #registry: RegistryOptions;

  /** Throws InvalidParameter for what names no repository. */
  constructor(settings: OwnRegistrySettings, secrets: PullSecrets, registry: RegistryOptions) {
    this.#reference = repositoryOf(settings.repository);
    this.#settings = settings;
    this.#secrets = secrets;
    this.#registry = registry;
  }

  /**
   * Under the image's id as its tag, so that no clean-up of the registry takes it for a leftover. Layers that are in a registry
   * already are taken over from there; the others are the workshop's. Throws in the registry's words.
   */
  async put(image: WholeImage, places: LayerPlaces, signal: AbortSignal): Promise<StoredImage> {
    const { domain, path } = this.#reference;
    const { secret } = this.#settings;
    const auth = secret === undefined ? {} : await this.#secrets.read(secret, domain);
    const client = new RegistryClient(domain, auth, { ...this.#registry, mirrors: [] });
    await client.connect(signal);
    const putting: Putting = { upload: new RegistryUpload(client, path), ...places, signal };
    const blobs = places.there ?? new Map<string, BlobDescriptor>();
    for (const diffId of image.config.rootfs.diff_ids)
      if (!blobs.has(diffId)) blobs.set(diffId, await this.#putLayer(putting, diffId));
    const layers = image.config.rootfs.diff_ids.map((diffId) => {
      const { digest, size } = blobs.get(diffId) ?? { digest: '', size: 0 };
      return { diffId, digest, bytes: size };
    });
    const { digest } = await pushManifest(
      putting.upload,
      { ...image, layers: layers.map(({ digest: blob, bytes }) => ({ digest: blob, size: bytes })) },
      image.id.slice('sha256:'.length),
      signal,
    );
    const reference = `${domain}/${path}@${digest}`;
    return { source: { reference, ...(secret === undefined ? {} : { secret }) }, layers };
  }

  async #putLayer(
    { upload, workshop, view, elsewhere, signal }: Putting,
    diffId: string,
  ): Promise<BlobDescriptor> {
    const push = { upload, reference: this.#reference, progress: () => undefined, signal };
    const found = view.findLayer(diffId) ?? elsewhere?.(diffId);
    if (found === undefined) return pushLayer({ ...push, layers: workshop.layers }, diffId);
    const blob = { digest: found.layer.digest, size: found.layer.bytes };
    const origin = await originOf({ secrets: this.#secrets, registry: this.#registry }, found.source);
    await pushBlob(push, origin, blob, () => undefined);
    return blob;
  }
}

/** Throws NotImplemented: says what is missing. */
export function needsRegistry(what: string): DaemonError {
  return new DaemonError(
    'NotImplemented',
    `${what} needs a registry on a cluster, where nodes pull what they run: start the daemon with --kube-registry`,
  );
}

function repositoryOf(text: string): Reference {
  const given = text.includes('/') ? text : `${text}/caisson`;
  const reference = parseReference(given);
  if (reference.tag === undefined && reference.digest === undefined) return reference;
  throw new DaemonError('InvalidParameter', `--kube-registry names a repository, without a tag: ${text}`);
}
