// Reads the contents of files in trees from where they are: many at once, each archive in one pass.

import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { DaemonError } from '../errors';
import type { FileData, FileNode } from './file-tree';

/** The plain tar of a layer, as the layer store gives it. */
export interface LayerReader {
  openTar(diffId: string): Readable;
}

/** A part of a file's content, holes filled with zeros. Files follow each other; each has one part that is its last. */
export interface ContentPart {
  node: FileNode;
  chunk: Buffer;
  last: boolean;
}

const chunkBytes = 256 * 1024;
const zeros = Buffer.alloc(chunkBytes);

/** In an order of its own; files without content are left out. */
export async function* readContents(
  layers: LayerReader,
  nodes: Iterable<FileNode>,
): AsyncGenerator<ContentPart, void, undefined> {
  const byArchive = new Map<string, FileNode[]>();
  for (const node of nodes) {
    if (node.data === undefined) continue;
    const { archive } = node.data;
    const key = archive.kind === 'file' ? `file:${archive.path}` : archive.diffId;
    const list = byArchive.get(key);
    if (list === undefined) byArchive.set(key, [node]);
    else list.push(node);
  }
  for (const list of byArchive.values()) {
    const sorted = list.sort((a, b) => (a.data?.offset ?? 0) - (b.data?.offset ?? 0));
    const archive = sorted[0]?.data?.archive;
    if (archive?.kind === 'file') yield* readFromFile(archive.path, sorted);
    else if (archive !== undefined) yield* readFromLayer(layers, archive.diffId, sorted);
  }
}

/** A whole small file. Throws Internal for one that is larger than `maxBytes`. */
export async function readSmallFile(layers: LayerReader, node: FileNode, maxBytes: number): Promise<Buffer> {
  if (node.size > maxBytes) throw new DaemonError('Internal', 'the file is too large');
  const parts: Buffer[] = [];
  for await (const { chunk } of readContents(layers, [node])) parts.push(chunk);
  return Buffer.concat(parts);
}

async function* readFromFile(path: string, nodes: readonly FileNode[]): AsyncGenerator<ContentPart> {
  const file = await open(path, 'r');
  try {
    for (const node of nodes) {
      const { data } = node;
      if (data === undefined) continue;
      const stored = async function* (): AsyncGenerator<Buffer> {
        for (let at = 0; at < data.storedBytes;) {
          const buffer = Buffer.alloc(Math.min(chunkBytes, data.storedBytes - at));
          const { bytesRead } = await file.read(buffer, 0, buffer.length, data.offset + at);
          if (bytesRead === 0) throw new DaemonError('Internal', 'unexpected EOF');
          at += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      };
      yield* content(node, data, stored());
    }
  } finally {
    await file.close();
  }
}

/** Layers are kept compressed: what lies before a file is read over. */
async function* readFromLayer(
  layers: LayerReader,
  diffId: string,
  nodes: readonly FileNode[],
): AsyncGenerator<ContentPart> {
  // The same content may be wanted under several names.
  const again: FileNode[] = [];
  const tar = layers.openTar(diffId);
  try {
    const reader = new PositionedReader(tar);
    let end = 0;
    for (const node of nodes) {
      const { data } = node;
      if (data === undefined) continue;
      if (data.offset < end) {
        again.push(node);
        continue;
      }
      yield* content(node, data, reader.read(data.offset, data.storedBytes));
      end = data.offset + Math.max(1, data.storedBytes);
    }
  } finally {
    tar.destroy();
  }
  if (again.length > 0) yield* readFromLayer(layers, diffId, again);
}

class PositionedReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #position = 0;
  #rest = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.#chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator](); // a stream of bytes
  }

  /** Ranges in ascending order. */
  async *read(offset: number, length: number): AsyncGenerator<Buffer> {
    let left = length;
    while (left > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw new DaemonError('Internal', 'unexpected EOF');
        this.#rest = next.value as Buffer<ArrayBuffer>; // only its methods matter
      }
      const skipped = Math.min(this.#rest.length, Math.max(0, offset - this.#position));
      const piece = this.#rest.subarray(skipped, skipped + left);
      this.#position += skipped + piece.length;
      this.#rest = this.#rest.subarray(skipped + piece.length);
      left -= piece.length;
      if (piece.length > 0) yield piece;
    }
  }
}

async function* content(
  node: FileNode,
  data: FileData,
  stored: AsyncIterable<Buffer>,
): AsyncGenerator<ContentPart> {
  const filled = data.sparse === undefined ? stored : withHoles(data.sparse, stored);
  for await (const chunk of filled) yield { node, chunk, last: false };
  yield { node, chunk: Buffer.alloc(0), last: true };
}

async function* withHoles(
  map: NonNullable<FileData['sparse']>,
  stored: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  let position = 0;
  function* holeUpTo(end: number): Generator<Buffer> {
    while (position < end) {
      const piece = zeros.subarray(0, end - position);
      position += piece.length;
      yield piece;
    }
  }
  const parts = map.parts.filter((part) => part.length > 0);
  let [part] = parts;
  for await (const chunk of stored) {
    for (let rest = chunk; rest.length > 0 && part !== undefined;) {
      yield* holeUpTo(part.offset);
      const piece = rest.subarray(0, part.offset + part.length - position);
      position += piece.length;
      rest = rest.subarray(piece.length);
      yield piece;
      if (position === part.offset + part.length) {
        parts.shift();
        [part] = parts;
      }
    }
  }
  yield* holeUpTo(map.realSize);
}
