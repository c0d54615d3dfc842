// An archive that is an OCI layout too, as newer engines write all of theirs: for indexes, which keep their bytes, with the images of all
// platforms. `manifest.json` leads to the same blobs.

import { DaemonError } from '../../errors';
import { fullString, parseReference } from '../../registry/reference';
import type { ImageContents } from '../contract/stores';
import type { Image } from '../contract/image';
import { blobsNamedBy, digestOf, manifestsOf, type ContentDescriptor } from '../images/image-contents';
import type { ImageIndex } from '../images/image-index';
import type { SquashfsLayerStore } from '../layers/layer-store';
import { blobName } from './oci-layout';

const indexType = 'application/vnd.oci.image.index.v1+json';
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar';

interface LayoutSources {
  readonly index: Pick<ImageIndex, 'contentsOf' | 'configText'>;
  readonly layers: Pick<SquashfsLayerStore, 'find' | 'openAnyBlob'>;
}

/** What a name leads to; of all of it the blobs are there. Undefined for an image alone. */
function savedContents({ index, layers }: LayoutSources, name: string): ImageContents | undefined {
  const contents = index.contentsOf(name);
  if (contents === undefined) return undefined;
  const own = new Set(contents.blobs.map(digestOf));
  const isHere = ({ digest }: ContentDescriptor): boolean =>
    own.has(digest) || layers.openAnyBlob(digest) !== undefined;
  return blobsNamedBy(contents).every(isHere) ? contents : undefined;
}

/** A file below `blobs/sha256`: bytes, or a blob of the layer store. */
export interface LayoutBlob {
  digest: string;
  sizeBytes: number;
  bytes?: Buffer;
}

export class SavedLayout {
  readonly blobs = new Map<string, LayoutBlob>();
  readonly #sources: LayoutSources;
  readonly #entries: object[] = [];
  /** By name; of those that lead to more than an image. */
  readonly #contents = new Map<string, ImageContents>();

  /** `names`: all that is saved. */
  constructor(sources: LayoutSources, names: readonly string[]) {
    this.#sources = sources;
    for (const name of names) {
      const contents = savedContents(sources, name);
      if (contents !== undefined) this.#contents.set(name, contents);
    }
  }

  /** Otherwise the archive needs no layout. */
  get hasIndex(): boolean {
    return this.#contents.size > 0;
  }

  get indexText(): string {
    return JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: this.#entries });
  }

  /** Paths of its configuration and layers. `names` lead to it, and to what they have besides. */
  add(image: Image, names: readonly string[]): { config: string; layers: string[] } {
    const own = this.#contentsOf(image);
    for (const name of names) this.#keep(this.#contents.get(name) ?? own, annotationsOf(name));
    if (names.length === 0) this.#keep(own, undefined);
    // an image may be in several indexes, compressed in several ways
    const all = [...names.flatMap((name) => this.#contents.get(name) ?? []), own].flatMap(manifestsOf);
    const made = all.find(({ config }) => config.digest === image.id);
    return {
      config: blobName(image.id),
      layers: (made?.layers ?? []).map(({ digest }) => blobName(digest)),
    };
  }

  #keep(contents: ImageContents, annotations: object | undefined): void {
    for (const { digest, size } of blobsNamedBy(contents))
      if (!this.blobs.has(digest)) this.blobs.set(digest, { digest, sizeBytes: size });
    const documents = [contents.top, ...contents.manifests].map(({ body }) => body);
    for (const bytes of [...documents, ...contents.blobs]) {
      const digest = digestOf(bytes);
      this.blobs.set(digest, { digest, sizeBytes: bytes.length, bytes });
    }
    const { mediaType, body } = contents.top;
    const entry = { mediaType, digest: digestOf(body), size: body.length };
    this.#entries.push(annotations === undefined ? entry : { ...entry, annotations });
  }

  /** For an image of which nobody has made a manifest: its layers are plain tars, as in the rest of an archive. */
  #contentsOf({ id, config }: Image): ImageContents {
    const blob = Buffer.from(this.#sources.index.configText(id) ?? '');
    const layers = config.rootfs.diff_ids.map((digest) => {
      const layer = this.#sources.layers.find(digest);
      if (layer === undefined) throw new DaemonError('Internal', `layer ${digest} is missing`);
      return { mediaType: layerType, digest, size: layer.tarBytes };
    });
    const manifest = {
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: configType, digest: id, size: blob.length },
      layers,
    };
    return {
      top: { mediaType: manifestType, body: Buffer.from(JSON.stringify(manifest)) },
      manifests: [],
      blobs: [blob],
    };
  }
}

function annotationsOf(name: string): Record<string, string> {
  const reference = parseReference(name);
  return {
    'io.containerd.image.name': fullString(reference),
    'org.opencontainers.image.ref.name': reference.tag ?? '',
  };
}
