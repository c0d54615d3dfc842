// Turns a layer's tar stream into one that sqfstar makes the right overlayfs layer of (docs/adr/0003-layer-conversion.md).
// Data passes through untouched; headers are written anew. What is held back to the end: directories (attributes and
// `.wh..wh..opq` may come in any order) and whiteouts (an entry of the same name wins over its whiteout).

import { Transform, type TransformCallback } from 'node:stream';
import { LayerTree, type LayerPlan } from './layer-tree';
import { cleanMemberName } from './member-name';
import { buildEntry, emptyEntry, tarBlock, TarError, type TarEntry } from './tar-header';
import { TarParser } from './tar-parser';
import { SparseExpander } from './tar-sparse';

export interface LayerTarOptions {
  /** From a scan of the same layer: where its entries go. */
  plan?: LayerPlan;
  /** Only make the plan: nothing is written. */
  scan?: boolean;
  /** More content than this (holes of sparse files included) is refused. */
  maxContentBytes?: number;
}

/** Node holds the names of a layer in memory, and so does sqfstar. */
const maxEntries = 2_000_000;
/**
 * sqfstar looks through the whole list of a directory for every name in it, and so on up to the root: 20,000 files in
 * one directory are 1.5 seconds of work, 80,000 are 39. A layer made to keep the host busy is refused.
 */
const maxLookups = 1e10;
/** PATH_MAX and NAME_MAX. */
const maxNameBytes = 4095;
const maxPartBytes = 255;
const maxSeconds = 0xffff_ffff;
const maxId = 0xffff_ffff;
const whiteoutPrefix = '.wh.';
const opaqueMarker = '.wh..wh..opq';
const opaqueRecord = 'SCHILY.xattr.trusted.overlay.opaque';

export class LayerTar extends Transform {
  /**
   * The layer can't be rewritten as it comes: what was written is of no use, and a second pass with the plan of a scan
   * is needed. The rest of the stream is still read and checked.
   */
  needsPlan = false;
  /** What Docker counts as the layer's size: its files, and the targets of its symbolic links. */
  contentBytes = 0;
  readonly #options: LayerTarOptions;
  readonly #parser: TarParser;
  readonly #tree = new LayerTree();
  #count = 0;
  readonly #directories = new Map<string, TarEntry>();
  /** Every directory, also those that only the names of others tell of. */
  readonly #parents = new Set<string>();
  /** Of each directory, how many names it has. */
  readonly #children = new Map<string, number>();
  #lookups = 0;
  readonly #opaque = new Set<string>();
  /** Of all that is no directory. */
  readonly #names = new Set<string>();
  readonly #whiteouts = new Map<string, number>();
  /** While the data of a sparse file passes. */
  #sparse: SparseExpander | undefined;

  constructor(options: LayerTarOptions = {}) {
    super({ readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#options = options;
    this.#parser = new TarParser({
      entry: (entry) => this.#entry(entry),
      data: (chunk) => {
        if (this.#sparse === undefined) this.push(chunk);
        else this.#sparse.write(chunk);
      },
    });
  }

  /** After a scan. */
  plan(): LayerPlan {
    return this.#tree.plan();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#parser.write(chunk);
      done();
    } catch (error) {
      done(error as Error); // everything thrown here is an Error
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      this.#parser.end();
      if (this.#writes) this.#writeHeldBack();
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  get #writes(): boolean {
    return this.#options.scan !== true && !this.needsPlan;
  }

  #entry(original: TarEntry): boolean {
    const number = this.#count;
    this.#count += 1;
    if (number >= maxEntries) throw new TarError(`the layer has more than ${maxEntries} entries`);
    if (!'0123456'.includes(original.type))
      throw new TarError(`unhandled tar header type ${original.type.charCodeAt(0)}`);
    const entry = cleaned(original);
    if (entry.name === '') return false; // as Docker: the root of a layer is what the root of the container is
    const { scan, plan } = this.#options;
    const isMarker = baseOf(entry.name).startsWith(whiteoutPrefix);
    if (scan === true) {
      this.#tree.add({ ...entry, number, isWhiteout: isMarker });
      return false;
    }
    if (plan === undefined) return this.#keep(entry, isMarker);
    const planned = plan.get(number);
    return planned !== undefined && this.#keep({ ...entry, ...planned }, isMarker);
  }

  /** Writes the entry or holds it back; true if its data is to be written. */
  #keep(entry: TarEntry, isMarker: boolean): boolean {
    const { name } = entry;
    this.#addParents(parentOf(name));
    if (isMarker) {
      this.#addWhiteout(entry);
      return false;
    }
    if (entry.type === '5') {
      this.#addParents(name);
      this.#directories.set(name, entry);
      return false;
    }
    this.#countContent(entry);
    if (this.#names.has(name) || this.#parents.has(name)) this.needsPlan = true;
    this.#names.add(name);
    this.#addChild(name);
    if (entry.type === '1' && !this.#names.has(entry.link)) this.needsPlan = true;
    if (!this.#writes) return false;
    this.push(buildEntry({ ...entry, size: entry.sparse?.realSize ?? entry.size }));
    const push = (chunk: Buffer): void => void this.push(chunk);
    this.#sparse = entry.sparse === undefined ? undefined : new SparseExpander(entry.sparse, push);
    return true;
  }

  #countContent(entry: TarEntry): void {
    this.contentBytes += entry.type === '2' ? entry.link.length : (entry.sparse?.realSize ?? entry.size);
    if (this.contentBytes > (this.#options.maxContentBytes ?? Infinity))
      throw new TarError(`write /${entry.name}: no space left on device`);
  }

  #addWhiteout({ name, mtime }: TarEntry): void {
    const parent = parentOf(name);
    const base = baseOf(name);
    if (base === opaqueMarker) this.#opaque.add(parent);
    if (base.startsWith('.wh..wh.')) return; // of AUFS, and of no meaning elsewhere
    const hidden = base.slice(whiteoutPrefix.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new TarError(`failed to mknod("/${parent}", S_IFCHR, 0): file exists`);
    this.#whiteouts.set(parent === '' ? hidden : `${parent}/${hidden}`, mtime);
  }

  #addParents(directory: string): void {
    for (let name = directory; name !== '' && !this.#parents.has(name); name = parentOf(name)) {
      this.#parents.add(name);
      this.#addChild(name);
      if (this.#names.has(name)) this.needsPlan = true;
    }
  }

  /** Counts what sqfstar will have to look at to put the name where it belongs. */
  #addChild(name: string): void {
    const parent = parentOf(name);
    this.#children.set(parent, (this.#children.get(parent) ?? 0) + 1);
    for (let directory = name; directory !== '';) {
      directory = parentOf(directory);
      this.#lookups += this.#children.get(directory) ?? 0;
    }
    if (this.#lookups > maxLookups) throw new TarError('the layer has too many entries in one directory');
  }

  #writeHeldBack(): void {
    for (const [name, mtime] of this.#whiteouts) {
      if (this.#names.has(name) || this.#parents.has(name)) continue;
      this.push(buildEntry(emptyEntry({ name, type: '3', mode: 0, mtime })));
    }
    const mtime = Math.floor(Date.now() / 1000);
    for (const name of [...this.#parents].sort()) {
      // one that no entry describes is made while the layer is unpacked
      const entry = this.#directories.get(name) ?? emptyEntry({ mode: 0o755, mtime });
      const records = new Map(entry.records);
      if (this.#opaque.has(name)) records.set(opaqueRecord, Buffer.from('y'));
      this.push(buildEntry({ ...entry, name: `${name}/`, link: '', type: '5', records }));
    }
    this.push(Buffer.alloc(2 * tarBlock));
  }
}

/** With a name below the layer's root, and numbers that a squashfs image can hold. */
function cleaned(entry: TarEntry): TarEntry {
  const name = cleanMemberName(entry.name);
  const tooLong = entry.name.length > maxNameBytes || entry.link.length > maxNameBytes;
  if (tooLong || (name.length > maxPartBytes && name.split('/').some((part) => part.length > maxPartBytes)))
    throw new TarError(`open /${name}: file name too long`);
  if (entry.uid < 0 || entry.uid > maxId || entry.gid < 0 || entry.gid > maxId)
    throw new TarError(`lchown /${name}: invalid argument`);
  const records = new Map([...entry.records].filter(([key]) => isKeptAttribute(key)));
  return {
    ...entry,
    name,
    link: entry.type === '1' ? cleanMemberName(entry.link) : entry.type === '2' ? entry.link : '',
    mtime: Math.min(Math.max(0, entry.mtime), maxSeconds),
    records,
  };
}

/** Overlayfs' own attributes would let a layer hide, redirect or show what is not its own: only we set those. */
function isKeptAttribute(key: string): boolean {
  return !/^SCHILY\.xattr\.(trusted|user)\.overlay\./.test(key);
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}

function baseOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
