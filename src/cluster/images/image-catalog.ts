// images/: what is known of images, as records of the cluster; nodes pull them, the daemon never has a layer.
//
// The catalog: reads give an ImageIndex of what the cluster has, changes are made on one and written back.

import { createHash } from 'node:crypto';
import { isDaemonError, DaemonError } from '../../errors';
import type { Image } from '../../storage/contract/image';
import { ImageIndex } from '../../storage/images/image-index';
import { ChangedDocuments, type DocumentChange } from './changed-documents';

/** Of a registry, as its manifest has it; `bytes` are those of the compressed blob. */
export interface ImageLayer {
  diffId: string;
  digest: string;
  bytes: number;
}

/** Whence a node pulls an image. */
export interface ImageSource {
  /** `127.0.0.1:5000/debian@sha256:…`, with its registry. */
  reference: string;
  /** Secret of the namespace with what the registry asks for. */
  secret?: string;
}

/** The cluster's record of an image: what ImageIndex keeps, and what nodes need. */
export interface ImageRecord {
  id: string;
  /** The configuration as the registry has it, to the byte: the id is its digest. */
  configText: string;
  parentId: string;
  lastTagTimeMs: number;
  layers: ImageLayer[];
  sources: ImageSource[];
}

/** A tag or a digest reference, in familiar form. */
export interface ImageNameRecord {
  name: string;
  imageId: string;
}

/** A record with its object's name, and the version that a change must find. */
export interface Stored<T> {
  name: string;
  version: string;
  value: T;
}

/** Records of one kind. Throws Conflict where an object is there already, or is not of that version any more. */
export interface RecordStore<T> {
  /** From the API itself. */
  list(): Promise<Stored<T>[]>;
  create(name: string, value: T): Promise<unknown>;
  replace(name: string, version: string, value: T): Promise<unknown>;
  remove(name: string, version: string): Promise<void>;
}

export interface CatalogRecords {
  images: RecordStore<ImageRecord>;
  names: RecordStore<ImageNameRecord>;
}

/** The images at one moment. */
export interface ImageView {
  index: ImageIndex;
  /** Bytes of a layer; 0 of one that no image has. */
  layerBytes: (diffId: string) => number;
  record: (imageId: string) => ImageRecord | undefined;
  records: () => ImageRecord[];
  /** Where a layer can be had: undefined for one that no image has. */
  findLayer: (diffId: string) => FoundLayer | undefined;
}

export interface FoundLayer {
  layer: ImageLayer;
  source: ImageSource;
}

/** The view that a change works on. */
export interface ImageChange extends ImageView {
  /** Adds what a registry has; an image that is known learns where else it is. */
  add: (image: Pick<ImageRecord, 'configText' | 'layers'> & { source: ImageSource }) => Image;
}

const imagesCollection = 'images';
const namesCollection = 'image-names';
const maxAttempts = 20;

interface Snapshot {
  documents: ChangedDocuments;
  images: Map<string, Stored<ImageRecord>>;
  names: Map<string, Stored<ImageNameRecord>>;
}

export class ImageCatalog {
  readonly #records: CatalogRecords;

  constructor(records: CatalogRecords) {
    this.#records = records;
  }

  async read(): Promise<ImageView> {
    return this.#view(await this.#snapshot());
  }

  /**
   * `work` decides on what is there; it is called again, with what is there then, when somebody else has changed something of it
   * meanwhile. So it must not do anything but on the view. Throws what it throws.
   */
  async change<T>(work: (change: ImageChange) => T | Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const snapshot = await this.#snapshot();
      const view = this.#view(snapshot);
      const added = new Map<string, ImageRecord>();
      const result = await work({ ...view, add: (image) => addImage(view, added, image) });
      try {
        await this.#write(snapshot, added);
        return result;
      } catch (error) {
        const wasSlow = isDaemonError(error, 'Conflict') || isDaemonError(error, 'NotFound');
        if (!wasSlow || attempt >= maxAttempts) throw error;
      }
    }
  }

  async #snapshot(): Promise<Snapshot> {
    const [images, names] = await Promise.all([this.#records.images.list(), this.#records.names.list()]);
    const documents = new ChangedDocuments();
    const known = new Set(images.map(({ value }) => value.id));
    for (const { value } of images) documents.have(imagesCollection, value.id, indexPart(value));
    // One whose image another daemon is just about to remove names nothing.
    for (const { value } of names) {
      if (known.has(value.imageId)) documents.have(namesCollection, value.name, value);
    }
    return {
      documents,
      images: new Map(images.map((each) => [each.value.id, each])),
      names: new Map(names.map((each) => [each.value.name, each])),
    };
  }

  #view({ documents, images }: Snapshot): ImageView {
    const sizes = new Map<string, number>();
    for (const { value } of images.values()) noteSizes(sizes, value.layers);
    const layerBytes = (diffId: string): number => sizes.get(diffId) ?? 0;
    return {
      index: new ImageIndex(documents, layerBytes),
      layerBytes,
      record: (id) => images.get(id)?.value,
      records: () => [...images.values()].map(({ value }) => value),
      findLayer: (diffId) => findLayer([...images.values()], diffId),
    };
  }

  /** What is added goes first, and names before what they led to: whoever looks meanwhile finds no name that leads nowhere. */
  async #write({ documents, images, names }: Snapshot, added: Map<string, ImageRecord>): Promise<void> {
    const changes = documents.changes();
    const of = (collection: string, isThere: boolean): DocumentChange[] =>
      changes.filter(
        (change) => change.collection === collection && (change.value !== undefined) === isThere,
      );
    const changed = new Map(of(imagesCollection, true).map(({ id, value }) => [id, value]));
    for (const id of new Set([...changed.keys(), ...added.keys()])) {
      const before = images.get(id);
      const value = { ...(added.get(id) ?? before?.value), ...changed.get(id) } as ImageRecord; // of one of the two, whole
      await put(this.#records.images, before, imageObjectName(id), value);
    }
    for (const { id, value } of of(namesCollection, true)) {
      const record = value as ImageNameRecord; // as ImageIndex writes it
      await put(this.#records.names, names.get(id), nameObjectName(id), record);
    }
    for (const { id } of of(namesCollection, false)) await drop(this.#records.names, names.get(id));
    for (const { id } of of(imagesCollection, false)) await drop(this.#records.images, images.get(id));
  }
}

function addImage(
  view: ImageView,
  added: Map<string, ImageRecord>,
  { configText, layers, source }: Parameters<ImageChange['add']>[0],
): Image {
  const image = view.index.add(configText);
  const known = added.get(image.id) ?? view.record(image.id);
  const others = (known?.sources ?? []).filter(({ reference }) => reference !== source.reference);
  added.set(image.id, {
    id: image.id,
    configText,
    parentId: known?.parentId ?? '',
    lastTagTimeMs: known?.lastTagTimeMs ?? 0,
    layers: known?.layers ?? layers,
    // The last one first: it is what was reached just now.
    sources: [source, ...others],
  });
  return image;
}

function findLayer(images: readonly Stored<ImageRecord>[], diffId: string): FoundLayer | undefined {
  for (const { value } of images) {
    const layer = value.layers.find((each) => each.diffId === diffId);
    const [source] = value.sources;
    if (layer !== undefined && source !== undefined) return { layer, source };
  }
  return undefined;
}

/** What ImageIndex reads of a record. */
function indexPart({ id, configText, parentId, lastTagTimeMs }: ImageRecord): object {
  return { id, configText, parentId, lastTagTimeMs };
}

function noteSizes(sizes: Map<string, number>, layers: readonly ImageLayer[]): void {
  for (const { diffId, bytes } of layers) sizes.set(diffId, bytes);
}

async function put<T>(
  records: RecordStore<T>,
  before: Stored<T> | undefined,
  name: string,
  value: T,
): Promise<void> {
  if (before === undefined) await records.create(name, value);
  else await records.replace(before.name, before.version, value);
}

async function drop<T>(records: RecordStore<T>, before: Stored<T> | undefined): Promise<void> {
  if (before === undefined) return;
  try {
    await records.remove(before.name, before.version);
  } catch (error) {
    if (!isDaemonError(error, 'NotFound')) throw error;
  }
}

function imageObjectName(id: string): string {
  if (!/^sha256:[a-f0-9]{64}$/.test(id)) throw new DaemonError('Internal', `not an image's id: ${id}`);
  return id.slice('sha256:'.length);
}

/** Names have characters that objects' names may not. */
function nameObjectName(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}
