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
import type { Image } from '../contract/image';
import type { ImageConfig } from '../../docker/image-config';
import { parseConfig } from './image-config';
import type { DocumentStore } from '../contract/stores';

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
}

interface KnownImage {
  document: ImageDocument;
  config: ImageConfig;
}

const images = 'images';
const names = 'image-names';

export class ImageIndex {
  readonly #documents: DocumentStore;
  readonly #layerSize: (diffId: string) => number;
  readonly #images = new Map<string, KnownImage>();
  readonly #names = new Map<string, string>();

  constructor(documents: DocumentStore, layerSize: (diffId: string) => number) {
    this.#documents = documents;
    this.#layerSize = layerSize;
    for (const document of documents.all<ImageDocument>(images)) {
      this.#images.set(document.id, { document, config: parseConfig(document.configText) });
    }
    for (const { name, imageId } of documents.all<NameDocument>(names)) this.#names.set(name, imageId);
  }

  list(): Image[] {
    const namesOf = new Map<string, string[]>();
    for (const [name, imageId] of this.#names) {
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

  /** By id, unique prefix of one, tag or digest. */
  find(ref: string): Image | undefined {
    const id = this.#findId(ref);
    return id === undefined ? undefined : this.byId(id);
  }

  /** Throws NotFound, or InvalidParameter for what can be no name at all. */
  get(ref: string): Image {
    const image = this.find(ref);
    if (image !== undefined) return image;
    throw new DaemonError('NotFound', `No such image: ${missingName(ref)}`);
  }

  /** The id that a name leads to. */
  nameTarget(name: string): string | undefined {
    return this.#names.get(name);
  }

  /** In Docker's order. */
  namesOf(imageId: string): string[] {
    return [...this.#names]
      .filter(([, id]) => id === imageId)
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

  /** Lets a name lead to an image. */
  setName(name: string, imageId: string, isTag: boolean): void {
    const known = this.#images.get(imageId);
    if (known === undefined) throw new DaemonError('NotFound', `No such image: ${imageId}`);
    if (/^sha256[:@]/.test(name)) {
      throw new DaemonError(
        'InvalidParameter',
        'refusing to create an ambiguous tag using digest algorithm as name',
      );
    }
    this.#documents.transaction(() => {
      this.#documents.put(names, name, { name, imageId });
      if (!isTag) return;
      known.document = { ...known.document, lastTagTimeMs: Date.now() };
      this.#documents.put(images, imageId, known.document);
    });
    this.#names.set(name, imageId);
  }

  removeName(name: string): void {
    this.#documents.delete(names, name);
    this.#names.delete(name);
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
      return this.#images.has(id) ? id : undefined;
    }
    let reference: Reference;
    try {
      reference = parseReference(ref);
    } catch {
      return undefined;
    }
    return this.#names.get(familiarReference(reference)) ?? this.#findByPrefix(ref);
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
    };
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
