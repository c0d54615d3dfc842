// images/: what is known of images.
//
// What is known of images: their configurations, tags and digests, kept in memory and in the document store.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import {
  familiarReference,
  familiarString,
  fullString,
  parseReference,
  type Reference,
} from '../../registry/reference';
import type { Platform } from '../../registry/platform';
import type { Image } from '../contract/image';
import type { ImageConfig } from '../../docker/image-config';
import { parseConfig } from './image-config';
import type { ContentDocument, DocumentStore, ImageContents } from '../contract/stores';

interface ImageDocument {
  id: string;
  /** The configuration blob as it came: its digest is the id. */
  configText: string;
  parentId: string;
  lastTagTimeMs: number;
}

/** A tag or digest reference in familiar form. */
interface NameDocument {
  name: string;
  imageId: string;
  /** Digest of the contents that it leads to as well. */
  contents?: string;
}

/** What names lead to besides an image, byte for byte. */
interface ContentsDocument {
  digest: string;
  top: { mediaType: string; text: string };
  manifests: { mediaType: string; text: string }[];
  /** In base64: what is in them is their makers' business. */
  blobs: string[];
  imageIds: string[];
}

interface KnownImage {
  document: ImageDocument;
  config: ImageConfig;
}

const images = 'images';
const names = 'image-names';
const contentsCollection = 'image-contents';

export class ImageIndex {
  readonly #documents: DocumentStore;
  readonly #layerSize: (diffId: string) => number;
  readonly #images = new Map<string, KnownImage>();
  readonly #names = new Map<string, { imageId: string; contents?: string }>();
  readonly #contents = new Map<string, ContentsDocument>();

  constructor(documents: DocumentStore, layerSize: (diffId: string) => number) {
    this.#documents = documents;
    this.#layerSize = layerSize;
    for (const document of documents.all<ImageDocument>(images)) {
      this.#images.set(document.id, { document, config: parseConfig(document.configText) });
    }
    for (const { name, ...target } of documents.all<NameDocument>(names)) this.#names.set(name, target);
    for (const document of documents.all<ContentsDocument>(contentsCollection)) {
      this.#contents.set(document.digest, document);
    }
    this.#dropContents(); // of a daemon that was killed between a name and what it led to
  }

  list(): Image[] {
    const namesOf = new Map<string, string[]>();
    for (const [name, { imageId }] of this.#names) {
      const list = namesOf.get(imageId);
      if (list === undefined) namesOf.set(imageId, [name]);
      else list.push(name);
    }
    return [...this.#images.values()].map((known) =>
      this.#toImage(known, (namesOf.get(known.document.id) ?? []).sort(byFullName)),
    );
  }

  byId(id: string): Image | undefined {
    const known = this.#images.get(id);
    if (known === undefined) return undefined;
    return this.#toImage(known, this.namesOf(id));
  }

  /** The configuration's bytes; undefined without such an image. */
  configText(id: string): string | undefined {
    return this.#images.get(id)?.document.configText;
  }

  /** By id, unique prefix of one, tag or digest; `platform`: that of the name's index, where it has one. */
  find(ref: string, platform?: Platform): Image | undefined {
    const id = this.#findId(ref);
    const found = id === undefined ? undefined : this.byId(id);
    if (platform === undefined || found === undefined || runsOn(found, platform)) return found;
    const name = nameOf(ref);
    const others = name === undefined ? [] : this.imagesOfIndex(name);
    return others.map((other) => this.byId(other)).find((other) => other && runsOn(other, platform)) ?? found;
  }

  /** Throws NotFound, or InvalidParameter for what can be no name at all. */
  get(ref: string): Image {
    const image = this.find(ref);
    if (image !== undefined) return image;
    throw new DaemonError('NotFound', `No such image: ${missingName(ref)}`);
  }

  /** The id that a name leads to. */
  nameTarget(name: string): string | undefined {
    return this.#names.get(name)?.imageId;
  }

  /** Undefined where a name leads to an image alone. */
  contentsOf(name: string): ImageContents | undefined {
    const document = this.#contents.get(this.#names.get(name)?.contents ?? '');
    if (document === undefined) return undefined;
    const decoded = ({ mediaType, text }: ContentsDocument['top']): ContentDocument => ({
      mediaType,
      body: Buffer.from(text, 'base64'),
    });
    return {
      top: decoded(document.top),
      manifests: document.manifests.map(decoded),
      blobs: document.blobs.map((blob) => Buffer.from(blob, 'base64')),
    };
  }

  contentsDigestOf(name: string): string | undefined {
    return this.#names.get(name)?.contents;
  }

  /** Images that a name's index has, the one it leads to among them. */
  imagesOfIndex(name: string): readonly string[] {
    return this.#contents.get(this.#names.get(name)?.contents ?? '')?.imageIds ?? [];
  }

  /** An index that has a name has it. */
  isOfIndex(imageId: string): boolean {
    for (const { imageIds } of this.#contents.values()) if (imageIds.includes(imageId)) return true;
    return false;
  }

  /** An index has it whose name leads to another image. */
  isOfOthersIndex(imageId: string): boolean {
    for (const target of this.#names.values()) {
      const { imageIds = [] } = this.#contents.get(target.contents ?? '') ?? {};
      if (target.imageId !== imageId && imageIds.includes(imageId)) return true;
    }
    return false;
  }

  /** Names lead to it by `setName`; before that it is nobody's, and gone after a restart. `imageIds`: which of the images are its. */
  addContents(contents: ImageContents, imageIds: readonly string[]): string {
    const digest = `sha256:${createHash('sha256').update(contents.top.body).digest('hex')}`;
    const encoded = ({ mediaType, body }: ContentDocument): ContentsDocument['top'] => ({
      mediaType,
      text: body.toString('base64'),
    });
    const document: ContentsDocument = {
      digest,
      top: encoded(contents.top),
      manifests: contents.manifests.map(encoded),
      blobs: contents.blobs.map((blob) => blob.toString('base64')),
      imageIds: [...imageIds],
    };
    this.#documents.put(contentsCollection, digest, document);
    this.#contents.set(digest, document);
    return digest;
  }

  /** In Docker's order. */
  namesOf(imageId: string): string[] {
    return [...this.#names]
      .filter(([, target]) => target.imageId === imageId)
      .map(([name]) => name)
      .sort(byFullName);
  }

  /** Adds an image, or finds it: the id is the digest of `configText`. */
  add(configText: string, parentId = ''): Image {
    const id = `sha256:${createHash('sha256').update(configText).digest('hex')}`;
    if (!this.#images.has(id)) {
      const document: ImageDocument = { id, configText, parentId, lastTagTimeMs: 0 };
      const config = parseConfig(configText);
      this.#documents.put(images, id, document);
      this.#images.set(id, { document, config });
    }
    return this.get(id);
  }

  setParent(imageId: string, parentId: string): void {
    const known = this.#images.get(imageId);
    if (known === undefined) throw new DaemonError('NotFound', `No such image: ${imageId}`);
    known.document = { ...known.document, parentId };
    this.#documents.put(images, imageId, known.document);
  }

  /** Lets a name lead to an image, and to contents that were added. */
  setName(name: string, imageId: string, isTag: boolean, contents?: string): void {
    const known = this.#images.get(imageId);
    if (known === undefined) throw new DaemonError('NotFound', `No such image: ${imageId}`);
    if (/^sha256[:@]/.test(name)) {
      throw new DaemonError(
        'InvalidParameter',
        'refusing to create an ambiguous tag using digest algorithm as name',
      );
    }
    const target = { imageId, ...(contents === undefined ? {} : { contents }) };
    this.#documents.transaction(() => {
      this.#documents.put(names, name, { name, ...target });
      if (!isTag) return;
      known.document = { ...known.document, lastTagTimeMs: Date.now() };
      this.#documents.put(images, imageId, known.document);
    });
    this.#names.set(name, target);
    this.#dropContents();
  }

  removeName(name: string): void {
    this.#documents.delete(names, name);
    this.#names.delete(name);
    this.#dropContents();
  }

  /** Those that no name leads to. */
  #dropContents(): void {
    if (this.#contents.size === 0) return;
    const used = new Set([...this.#names.values()].map(({ contents }) => contents));
    for (const digest of [...this.#contents.keys()].filter((each) => !used.has(each))) {
      this.#documents.delete(contentsCollection, digest);
      this.#contents.delete(digest);
    }
  }

  remove(imageId: string): void {
    this.#documents.delete(images, imageId);
    this.#images.delete(imageId);
  }

  children(imageId: string): string[] {
    return [...this.#images.values()]
      .filter(({ document }) => document.parentId === imageId)
      .map(({ document }) => document.id);
  }

  usesLayer(diffId: string): boolean {
    for (const { config } of this.#images.values()) if (config.rootfs.diff_ids.includes(diffId)) return true;
    return false;
  }

  /** How many of these layers, from the lowest on, an image has below each other. */
  sharedLayers(diffIds: readonly string[]): number {
    let shared = 0;
    for (const { config } of this.#images.values()) {
      const others = config.rootfs.diff_ids;
      let count = 0;
      while (count < diffIds.length && others[count] === diffIds[count]) count += 1;
      shared = Math.max(shared, count);
    }
    return shared;
  }

  #findId(ref: string): string | undefined {
    if (this.#images.has(ref)) return ref;
    if (/^(sha256:)?[a-f0-9]{64}$/.test(ref)) {
      const id = `sha256:${ref.slice(-64)}`;
      return this.#images.has(id) ? id : this.#imageOfContents(id);
    }
    let reference: Reference;
    try {
      reference = parseReference(ref);
    } catch {
      return undefined;
    }
    return this.#names.get(familiarReference(reference))?.imageId ?? this.#findByPrefix(ref);
  }

  /** An index is known by its digest too, as long as a name leads to it. */
  #imageOfContents(digest: string): string | undefined {
    if (!this.#contents.has(digest)) return undefined;
    for (const { imageId, contents } of this.#names.values()) if (contents === digest) return imageId;
    return undefined;
  }

  #findByPrefix(ref: string): string | undefined {
    const prefix = ref.replace(/^sha256:/, '');
    if (!/^[a-f0-9]+$/.test(prefix)) return undefined;
    const matches = [...this.#images.keys()].filter((id) => id.startsWith(`sha256:${prefix}`));
    return matches.length === 1 ? matches[0] : undefined;
  }

  #toImage({ document, config }: KnownImage, sorted: readonly string[]): Image {
    return {
      id: document.id,
      config,
      repoTags: sorted.filter((name) => !name.includes('@')),
      repoDigests: sorted.filter((name) => name.includes('@')),
      sizeBytes: config.rootfs.diff_ids.reduce((sum, diffId) => sum + this.#layerSize(diffId), 0),
      parentId: document.parentId,
      lastTagTimeMs: document.lastTagTimeMs,
      ...(sorted.length === 0 && this.isOfIndex(document.id) ? { isOfIndex: true as const } : {}),
    };
  }
}

function runsOn({ config }: Image, { os, architecture, variant }: Platform): boolean {
  const fits = config.os === os && config.architecture === architecture;
  return fits && (variant === undefined || config.variant === undefined || config.variant === variant);
}

/** In familiar form; undefined for an id. */
function nameOf(ref: string): string | undefined {
  try {
    return familiarReference(parseReference(ref));
  } catch {
    return undefined;
  }
}

/** As Docker sorts names: with their registry, also where that is not shown. */
function byFullName(one: string, other: string): number {
  const [a, b] = [fullString(parseReference(one)), fullString(parseReference(other))];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Docker adds `latest` to a name without a tag. */
function missingName(ref: string): string {
  if (/^[a-f0-9]{64}$/.test(ref)) return `sha256:${ref}`;
  if (/^sha256:[a-f0-9]{64}$/.test(ref)) return ref;
  const reference = parseReference(ref);
  const isBare = reference.tag === undefined && reference.digest === undefined;
  return familiarString(isBare ? { ...reference, tag: 'latest' } : reference);
}

/** Ids of the stacks of layers, lowest first (OCI image-spec, "Layer ChainID"). */
export function chainIds(diffIds: readonly string[]): string[] {
  const chains: string[] = [];
  for (const diffId of diffIds) {
    const below = chains.at(-1);
    chains.push(
      below === undefined
        ? diffId
        : `sha256:${createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`,
    );
  }
  return chains;
}
