// `docker load`: docker-archives (manifest.json, or only the old `repositories`) and OCI layouts, read from a spool file
// so that members may come in any order. Nothing of the archive is unpacked: layers go from the file into the layer store.

import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DaemonError, errorMessage } from '../errors';
import { familiarReference, parseReference } from '../registry/reference';
import { createDecompressor, peekCompression } from './compression';
import { parseConfig, type ImageIndex } from './image-index';
import type { SquashfsLayerStore } from './layer-store';
import type { ProgressSink } from './stores';
import {
  checksumIsRight,
  invalidHeader,
  isZeroBlock,
  paddedLength,
  parsePax,
  readNumber,
  readText,
  tarBlock,
} from './tar-header';

export interface LoadContext {
  index: ImageIndex;
  layers: SquashfsLayerStore;
  /** Where the archive is spooled. */
  temporaryDir: string;
  publish: (action: string, id: string, attributes: Record<string, string>) => void;
}

interface Member {
  offset: number;
  size: number;
  /** Target of a link to another member: old archives share layers that way. */
  link?: string;
}

interface ManifestItem {
  Config: string;
  RepoTags?: string[] | null;
  Layers: string[];
}

const maxJsonBytes = 16 * 1024 * 1024;
const maxMembers = 200_000;
const maxExtensionBytes = 1024 * 1024;

export async function loadArchive(
  context: LoadContext,
  source: NodeJS.ReadableStream,
  options: { quiet: boolean },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const spool = join(context.temporaryDir, `load-${randomBytes(8).toString('hex')}`);
  try {
    const { compression, stream } = await peekCompression(source as Readable); // every stream of ours is one
    await pipeline(stream, createDecompressor(compression), createWriteStream(spool, { mode: 0o600 }), {
      signal,
    });
    const file = await open(spool, 'r');
    try {
      const archive = new Archive(file, spool, await readMembers(file));
      await loadImages(context, archive, options, progress, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof DaemonError || signal.aborted) throw error;
    throw new DaemonError('InvalidParameter', errorMessage(error), { cause: error });
  } finally {
    await rm(spool, { force: true });
  }
}

class Archive {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #members: ReadonlyMap<string, Member>;

  constructor(file: FileHandle, path: string, members: ReadonlyMap<string, Member>) {
    this.#file = file;
    this.#path = path;
    this.#members = members;
  }

  has(name: string): boolean {
    return this.#members.has(clean(name));
  }

  async json<T>(name: string): Promise<T> {
    const text = await this.text(name);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new DaemonError('InvalidParameter', `${name} in the archive is not JSON`, { cause: error });
    }
  }

  async text(name: string): Promise<string> {
    const member = this.#member(name);
    if (member.size > maxJsonBytes)
      throw new DaemonError('InvalidParameter', `${name} in the archive is too large`);
    const data = Buffer.alloc(member.size);
    await this.#file.read(data, 0, member.size, member.offset);
    return data.toString();
  }

  open(name: string): Readable {
    const { offset, size } = this.#member(name);
    // An empty range can't be asked of createReadStream; a layer is never empty.
    return createReadStream(this.#path, {
      start: offset,
      end: offset + Math.max(0, size - 1),
      highWaterMark: 1 << 20,
    });
  }

  #member(name: string, depth = 0): Member {
    const member = this.#members.get(clean(name));
    if (member === undefined || depth > 8) {
      throw new DaemonError('InvalidParameter', `open ${name}: no such file or directory`);
    }
    return member.link === undefined ? member : this.#member(member.link, depth + 1);
  }
}

async function loadImages(
  context: LoadContext,
  archive: Archive,
  options: { quiet: boolean },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  const items = archive.has('manifest.json')
    ? await archive.json<ManifestItem[]>('manifest.json')
    : await readOciLayout(archive);
  for (const item of items) {
    const configText = await archive.text(item.Config);
    const config = parseConfig(configText);
    if (config.os !== '' && config.os !== 'linux') {
      throw new DaemonError('InvalidParameter', `cannot load ${config.os} image on linux`);
    }
    const diffIds = config.rootfs.diff_ids;
    if (diffIds.length !== item.Layers.length) {
      throw new DaemonError(
        'InvalidParameter',
        `invalid manifest, layers length mismatch: expected ${item.Layers.length}, got ${diffIds.length}`,
      );
    }
    const owner = `load-${randomBytes(8).toString('hex')}`;
    context.layers.reference(owner, diffIds);
    try {
      for (const [i, layer] of item.Layers.entries()) {
        await loadLayer(context, archive, layer, diffIds[i] ?? '', options, progress, signal);
      }
      const image = context.index.add(configText);
      const names = (item.RepoTags ?? []).map((name) => familiarReference(parseReference(name)));
      for (const name of names) {
        context.index.setName(name, image.id, true);
        progress({ stream: `Loaded image: ${name}\n` });
      }
      if (names.length === 0) progress({ stream: `Loaded image ID: ${image.id}\n` });
      context.publish('load', image.id, { name: image.id });
    } finally {
      context.layers.unreference(owner);
    }
  }
}

async function loadLayer(
  context: LoadContext,
  archive: Archive,
  name: string,
  diffId: string,
  options: { quiet: boolean },
  progress: ProgressSink,
  signal: AbortSignal,
): Promise<void> {
  if (context.layers.find(diffId) !== undefined) return;
  const id = diffId.slice('sha256:'.length, 'sha256:'.length + 12);
  if (!options.quiet) progress({ status: 'Loading layer', progressDetail: {}, id });
  await context.layers.add(archive.open(name), { diffId, signal });
}

/** OCI image-layout: index.json leads to manifests, those to blobs. Annotations carry the name. */
async function readOciLayout(archive: Archive): Promise<ManifestItem[]> {
  if (!archive.has('index.json')) {
    throw new DaemonError('InvalidParameter', 'invalid archive: does not contain a manifest.json');
  }
  interface Descriptor {
    digest: string;
    mediaType?: string;
    platform?: { os?: string; architecture?: string };
    annotations?: Record<string, string>;
  }
  const blobName = (digest: string): string => {
    if (!/^sha256:[a-f0-9]{64}$/.test(digest))
      throw new DaemonError('InvalidParameter', `invalid digest ${digest}`);
    return `blobs/sha256/${digest.slice('sha256:'.length)}`;
  };
  const items: ManifestItem[] = [];
  const visit = async (
    descriptors: Descriptor[],
    inherited: string | undefined,
    depth: number,
  ): Promise<void> => {
    if (depth > 4) throw new DaemonError('InvalidParameter', 'invalid archive: indexes too deep');
    for (const descriptor of descriptors) {
      const { platform, annotations } = descriptor;
      if (platform !== undefined && (platform.os !== 'linux' || platform.architecture !== 'amd64')) continue;
      const name =
        annotations?.['io.containerd.image.name'] ??
        annotations?.['org.opencontainers.image.ref.name'] ??
        inherited;
      const body = await archive.json<{
        manifests?: Descriptor[];
        config?: Descriptor;
        layers?: Descriptor[];
      }>(blobName(descriptor.digest));
      if (body.manifests !== undefined) {
        await visit(body.manifests, name, depth + 1);
      } else if (body.config !== undefined) {
        items.push({
          Config: blobName(body.config.digest),
          // A bare tag is a name only within the layout.
          RepoTags: name?.includes('/') === true || name?.includes(':') === true ? [name] : [],
          Layers: (body.layers ?? []).map((layer) => blobName(layer.digest)),
        });
      }
    }
  };
  const { manifests } = await archive.json<{ manifests?: Descriptor[] }>('index.json');
  await visit(manifests ?? [], undefined, 0);
  return items;
}

function clean(name: string): string {
  return name.replace(/^(\.?\/)+/, '');
}

/** Offsets of the archive's members. */
async function readMembers(file: FileHandle): Promise<Map<string, Member>> {
  const members = new Map<string, Member>();
  const { size: total } = await file.stat();
  const header = Buffer.alloc(tarBlock);
  let longName: string | undefined;
  let longLink: string | undefined;
  let paxSize: number | undefined;
  for (let at = 0; at + tarBlock <= total;) {
    await file.read(header, 0, tarBlock, at);
    if (isZeroBlock(header)) break;
    if (!checksumIsRight(header)) throw invalidHeader();
    const type = String.fromCharCode(header[156] ?? 0);
    const headerSize = readNumber(header, 124, 12);
    if (headerSize < 0) throw invalidHeader();
    const offset = at + tarBlock;
    if (type === 'x' || type === 'L' || type === 'K' || type === 'g') {
      if (headerSize > maxExtensionBytes || offset + headerSize > total) throw invalidHeader();
      const body = Buffer.alloc(headerSize);
      await file.read(body, 0, headerSize, offset);
      if (type === 'L') longName = readText(body, 0, headerSize);
      else if (type === 'K') longLink = readText(body, 0, headerSize);
      else if (type === 'x') {
        const records = parsePax(body);
        longName = records.get('path')?.toString('latin1') ?? longName;
        longLink = records.get('linkpath')?.toString('latin1') ?? longLink;
        const size = records.get('size');
        paxSize = size === undefined ? undefined : Number(size.toString());
      }
      at = offset + paddedLength(headerSize);
      continue;
    }
    const isFile = type === '0' || type === '\0';
    const size = isFile ? (paxSize ?? headerSize) : 0;
    if (!Number.isSafeInteger(size) || offset + size > total)
      throw new DaemonError('InvalidParameter', 'unexpected EOF');
    const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? readText(header, 345, 155) : '';
    const shortName = readText(header, 0, 100);
    const name = clean(longName ?? (prefix === '' ? shortName : `${prefix}/${shortName}`));
    const link = longLink ?? readText(header, 157, 100);
    if (isFile) members.set(name, { offset, size });
    else if (type === '1') members.set(name, { offset, size: 0, link });
    else if (type === '2') members.set(name, { offset, size: 0, link: resolveLink(name, link) });
    if (members.size > maxMembers)
      throw new DaemonError('InvalidParameter', 'the archive has too many members');
    longName = longLink = paxSize = undefined;
    at = offset + paddedLength(size);
  }
  return members;
}

/** A symbolic link's target as a member's name; one that leads out of the archive names no member. */
function resolveLink(name: string, link: string): string {
  const parts = name.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
