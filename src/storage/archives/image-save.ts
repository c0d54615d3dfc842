// `docker save`: images as one docker-archive, laid out as dockerd 20.10 does. It is written as it is read from the blob
// store; nothing is spooled, since the size of every layer's tar is known. With an index among what is saved it is an OCI layout (saved-layout.ts).

import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { DaemonError } from '../../errors';
import { log } from '../../log';
import { familiarName, familiarReference, parseReference, type Reference } from '../../registry/reference';
import type { Image } from '../contract/image';
import { chainIds, type ImageIndex } from '../images/image-index';
import { blobName } from './oci-layout';
import { SavedLayout } from './saved-layout';
import { removeUnused } from '../images/layer-garbage';
import type { SquashfsLayerStore } from '../layers/layer-store';
import { buildEntry, emptyEntry, padding, tarBlock } from '../tar/tar-header';
import { goJson, v1Layers } from '../images/v1-image';

export interface SaveContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

interface SavedImage {
  image: Image;
  /** Only those that were asked for. */
  tags: string[];
}

/** A member of the archive, before it has its place in it. */
type Member = { name: string; mtime: number } & (
  | { kind: 'directory' }
  | { kind: 'link'; target: string }
  | { kind: 'bytes'; bytes: Buffer }
  | { kind: 'blob'; digest: string; sizeBytes: number }
  | LayerMember
);
interface LayerMember {
  kind: 'layer';
  diffId: string;
}

/**
 * Throws NotFound and others in Docker's words before the first byte. The layers are kept until the stream is closed,
 * at its end or before.
 */
export function saveImages(context: SaveContext, refs: readonly string[], signal: AbortSignal): Readable {
  const saved = chooseImages(context.index, refs);
  const members = new Map<string, Member>();
  const tags = saved.flatMap((item) => item.tags);
  const layout = new SavedLayout(context, tags);
  const manifest = layout.hasIndex
    ? addLayout(layout, saved, members)
    : saved.map((item) => addImage(context, item, saved, members));
  addText(members, 'manifest.json', `${saved.length === 0 ? 'null' : goJson(manifest)}\n`);
  const repositories = layout.hasIndex ? {} : namedTops(saved, manifest);
  if (Object.keys(repositories).length > 0) {
    addText(members, 'repositories', `${goJson(repositories)}\n`);
  }
  const others = tags
    .flatMap((tag) => context.index.imagesOfIndex(tag))
    .flatMap((id) => context.index.find(id) ?? []);
  const images = [...saved.map(({ image }) => image), ...others];
  const diffIds = images.flatMap(({ config }) => config.rootfs.diff_ids);
  const release = context.layers.hold(diffIds);
  for (const { image } of saved) context.publish('save', image.id, { name: image.id });
  const order = [...members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const archive = Readable.from(writeMembers(context.layers, order), {
    objectMode: false,
    highWaterMark: 1 << 20,
    signal,
  });
  archive.once('close', () => {
    release();
    removeUnused(context, diffIds).catch((error: unknown) =>
      log.warn('layers of images that are gone could not be removed', { error }),
    );
  });
  return archive;
}

/** Those that the names and ids lead to. Throws NotFound and others in Docker's words. */
export function chosenImages(index: ImageIndex, refs: readonly string[]): Image[] {
  return chooseImages(index, refs).map(({ image }) => image);
}

function chooseImages(index: ImageIndex, refs: readonly string[]): SavedImage[] {
  const saved = new Map<string, SavedImage>();
  const add = (id: string, tag?: string): void => {
    const image = index.get(id);
    if (image.config.rootfs.diff_ids.length === 0) {
      throw new DaemonError('Internal', 'empty export - not implemented');
    }
    const item = saved.get(id) ?? { image, tags: [] };
    saved.set(id, item);
    if (tag !== undefined && !item.tags.includes(tag)) item.tags.push(tag);
  };
  for (const ref of refs) {
    if (/^(sha256:)?[a-f0-9]{64}$/.test(ref)) {
      add(index.get(ref).id);
      continue;
    }
    const reference = parsed(ref);
    if (reference.tag !== undefined || reference.digest !== undefined) {
      addNamed(index, ref, reference, add);
      continue;
    }
    // A name alone stands for all its tags.
    const name = familiarName(reference);
    const tags = index.list().flatMap(({ id, repoTags }) => repoTags.map((tag) => ({ id, tag })));
    const own = tags.filter(({ tag }) => tag.slice(0, tag.lastIndexOf(':')) === name);
    for (const { id, tag } of own) add(id, tag);
    if (own.length === 0) add(foundById(index, ref));
  }
  return [...saved.values()];
}

function addNamed(
  index: ImageIndex,
  ref: string,
  reference: Reference,
  add: (id: string, tag?: string) => void,
): void {
  // `sha256:` and the beginning of an id has the form of a tag.
  if (familiarName(reference) === 'sha256') {
    add(foundById(index, ref));
    return;
  }
  const name = familiarReference(reference);
  const id = index.nameTarget(name);
  if (id === undefined) throw new DaemonError('NotFound', 'reference does not exist');
  add(id, reference.digest === undefined ? name : undefined);
}

function foundById(index: ImageIndex, ref: string): string {
  const image = index.find(ref);
  if (image === undefined) throw new DaemonError('NotFound', `No such image: ${ref}`);
  return image.id;
}

/** dockerd answers 500 to what is no reference. */
function parsed(ref: string): Reference {
  try {
    return parseReference(ref);
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    throw new DaemonError('Internal', error.message, { cause: error });
  }
}

/** All of it below `blobs`, each once. */
function addLayout(
  layout: SavedLayout,
  saved: readonly SavedImage[],
  members: Map<string, Member>,
): ManifestItem[] {
  const manifest = saved.map(({ image, tags }) => {
    const { config, layers } = layout.add(image, tags);
    return { Config: config, RepoTags: tags.length === 0 ? null : tags, Layers: layers };
  });
  for (const directory of ['blobs/', 'blobs/sha256/'])
    members.set(directory, { name: directory, kind: 'directory', mtime: 0 });
  for (const { digest, sizeBytes, bytes } of layout.blobs.values()) {
    const name = blobName(digest);
    const content =
      bytes === undefined ? { kind: 'blob' as const, digest, sizeBytes } : { kind: 'bytes' as const, bytes };
    members.set(name, { name, mtime: 0, ...content });
  }
  addText(members, 'index.json', layout.indexText);
  addText(members, 'oci-layout', '{"imageLayoutVersion":"1.0.0"}');
  return manifest;
}

interface ManifestItem {
  Config: string;
  RepoTags: string[] | null;
  Layers: string[];
  Parent?: string;
}

function addImage(
  { index, layers }: SaveContext,
  { image, tags }: SavedImage,
  all: readonly SavedImage[],
  members: Map<string, Member>,
): ManifestItem {
  const { diff_ids: diffIds } = image.config.rootfs;
  const createdMs = Date.parse(image.config.created ?? '');
  const mtime = Number.isNaN(createdMs) ? 0 : Math.max(0, Math.floor(createdMs / 1000));
  const paths = v1Layers(image.config, chainIds(diffIds)).map(({ id, json }, i) => {
    const diffId = diffIds[i] ?? '';
    if (layers.find(diffId) === undefined) throw new DaemonError('Internal', `layer ${diffId} is missing`);
    const path = `${id}/layer.tar`;
    if (members.has(path)) return path;
    const first = [...members.values()].find((other) => other.kind === 'layer' && other.diffId === diffId);
    members.set(`${id}/`, { name: `${id}/`, kind: 'directory', mtime });
    addText(members, `${id}/VERSION`, '1.0', mtime);
    addText(members, `${id}/json`, json, mtime);
    members.set(
      path,
      first === undefined
        ? { name: path, kind: 'layer', diffId, mtime }
        : { name: path, kind: 'link', target: posix.relative(id, first.name), mtime },
    );
    return path;
  });
  const config = `${image.id.slice('sha256:'.length)}.json`;
  addText(members, config, index.configText(image.id) ?? '', mtime);
  const parent = all.find((other) => other.image.id === image.parentId);
  return {
    Config: config,
    RepoTags: tags.length === 0 ? null : tags,
    Layers: paths,
    ...(parent === undefined ? {} : { Parent: parent.image.id }),
  };
}

function addText(members: Map<string, Member>, name: string, text: string, mtime = 0): void {
  members.set(name, { name, kind: 'bytes', bytes: Buffer.from(text), mtime });
}

/** Of each repository, the topmost layer of each of its tags: for what reads the archive's first format. */
function namedTops(
  saved: readonly SavedImage[],
  manifest: readonly ManifestItem[],
): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {};
  const tops = saved.flatMap(({ tags }, i) => {
    const [id = ''] = (manifest[i]?.Layers.at(-1) ?? '').split('/');
    return tags.map((tag) => ({ tag, id }));
  });
  for (const { tag, id } of tops.sort((a, b) => (a.tag < b.tag ? -1 : 1))) {
    const colon = tag.lastIndexOf(':');
    (repositories[tag.slice(0, colon)] ??= {})[tag.slice(colon + 1)] = id;
  }
  return Object.fromEntries(Object.entries(repositories).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function* writeMembers(layers: SquashfsLayerStore, members: readonly Member[]): AsyncGenerator<Buffer> {
  for (const member of members) {
    const { name, mtime } = member;
    const header = (type: string, mode: number, more: { size?: number; link?: string } = {}): Buffer =>
      buildEntry(emptyEntry({ name, type, mode, mtime, ...more }));
    switch (member.kind) {
      case 'directory':
        yield header('5', 0o755);
        break;
      case 'link':
        yield header('2', 0o777, { link: member.target });
        break;
      case 'bytes': {
        const { bytes } = member;
        yield Buffer.concat([header('0', 0o644, { size: bytes.length }), bytes, padding(bytes.length)]);
        break;
      }
      case 'blob': {
        const { digest, sizeBytes: size } = member;
        const blob = layers.openAnyBlob(digest);
        if (blob === undefined) throw new DaemonError('Internal', `content ${digest} is missing`);
        yield header('0', 0o644, { size });
        yield* exactly(size, blob.open(0));
        if (size % tarBlock > 0) yield padding(size);
        break;
      }
      case 'layer': {
        const size = layers.find(member.diffId)?.tarBytes ?? 0;
        yield header('0', 0o644, { size });
        yield* exactly(size, layers.openTar(member.diffId));
        if (size % tarBlock > 0) yield padding(size);
      }
    }
  }
  yield Buffer.alloc(2 * tarBlock);
}

/** A blob that has been damaged must not pass for a whole archive. */
async function* exactly(size: number, tar: Readable): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const chunk of tar as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > size) break;
    yield chunk;
  }
  if (length !== size) throw new DaemonError('Internal', 'a stored layer is damaged: pull its image again');
}
