// Turns a layer's tar stream into one that sqfstar makes the right overlayfs layer of (docs/adr/0003-layer-conversion.md).
// Data passes through untouched; headers are written anew. What is held back to the end: directories (attributes and
// `.wh..wh..opq` may come in any order) and whiteouts (an entry of the same name wins over its whiteout).

import { posix } from 'node:path';
import { LayerParts } from './layer-parts';
import { LayerTree, type LayerPlan } from './layer-tree';
import { cleanMemberName } from '../tar/member-name';
import { buildEntry, emptyEntry, TarError, type TarEntry } from '../tar/tar-header';
import { TarRewriter } from '../tar/tar-rewriter';

export interface LayerTarOptions {
  /** From a scan of the same layer: where its entries go. */
  plan?: LayerPlan;
  /** Only make the plan: nothing is written. */
  scan?: boolean;
  /** More content than this (holes of sparse files included) is refused. */
  maxContentBytes?: number;
  /** Which of the layer's images to write, from 0. */
  part?: number;
  /** A directory with more names is spread over several images. */
  maxNamesPerDirectory?: number | undefined;
}

/** Node holds the names of a layer in memory, and so does sqfstar. */
const maxEntries = 2_000_000;
/**
 * sqfstar looks through the whole list of a directory for every name in it, and so on up to the root; this many looks are
 * two minutes of work. A layer made to keep the host busy is refused.
 */
const maxLookups = 1e10;
/** PATH_MAX and NAME_MAX. */
const maxNameBytes = 4095;
const maxPartBytes = 255;
const maxSeconds = 0xffff_ffff;
/** Where Docker's clock ends, in 2262: what is later is the epoch, as what is before it. */
const lastSecond = 9_223_372_036;
const maxId = 0xffff_ffff;
/** linux/capability.h: XATTR_CAPS_SZ_1 to _3. */
const capabilityBytes = [12, 20, 24];
const whiteoutPrefix = '.wh.';
const opaqueMarker = '.wh..wh..opq';
const opaqueRecord = 'SCHILY.xattr.trusted.overlay.opaque';

export class LayerTar extends TarRewriter {
  /**
   * The layer can't be rewritten as it comes: what was written is of no use, and a second pass with the plan of a scan
   * is needed. The rest of the stream is still read and checked.
   */
  needsPlan = false;
  /** What Docker counts as the layer's size: its files, and the targets of its symbolic links. */
  contentBytes = 0;
  readonly #options: LayerTarOptions;
  readonly #tree = new LayerTree();
  #count = 0;
  readonly #directories = new Map<string, TarEntry>();
  /** Every directory, also those that only the names of others tell of. */
  readonly #parents = new Set<string>();
  readonly #opaque = new Set<string>();
  /** Of all that is no directory, and the parts they are in. */
  readonly #names = new Map<string, number>();
  readonly #whiteouts = new Map<string, number>();
  readonly #parts: LayerParts;
  readonly #part: number;
  /** Of each directory in the part that is written, how many names it has there. */
  readonly #children = new Map<string, number>([['', 0]]);
  #lookups = 0;

  constructor(options: LayerTarOptions = {}) {
    super();
    this.#options = options;
    this.#part = options.part ?? 0;
    this.#parts = new LayerParts(options.maxNamesPerDirectory);
  }

  /** After a scan. */
  plan(): LayerPlan {
    return this.#tree.plan();
  }

  /** After the end: how many images the layer is. */
  get partCount(): number {
    return this.#parts.count;
  }

  protected override takeEnd(): void {
    if (this.#writes) this.#writeHeldBack();
  }

  get #writes(): boolean {
    return this.#options.scan !== true && !this.needsPlan;
  }

  protected override takeEntry(original: TarEntry): boolean {
    const number = this.#count;
    this.#count += 1;
    if (number >= maxEntries) throw new TarError(`the layer has more than ${maxEntries} entries`);
    if (!'0123456'.includes(original.type))
      throw new TarError(`unhandled tar header type ${original.type.charCodeAt(0)}`);
    const entry = cleaned(original);
    if (entry.name === '') {
      if (entry.type !== '5' && posix.normalize(original.name) !== '.')
        throw new TarError('unlinkat .//: device or resource busy'); // what would replace the root
      return false; // as Docker: the root of a layer is what the root of the container is
    }
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
    if (entry.type === '1' && !this.#names.has(entry.link)) this.needsPlan = true;
    if (!this.#place(entry) || !this.#writes) return false;
    this.writeHeader(entry);
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
      if (this.#names.has(name)) this.needsPlan = true;
      if (this.#parts.ofDirectory(name) === this.#part) this.#addDirectory(name);
    }
  }

  /** Gives what is no directory its part; true if that is the one that is written. */
  #place({ name, type, link }: Pick<TarEntry, 'name' | 'type' | 'link'>): boolean {
    // the names of one file can't be in several images
    const linked = type === '1' ? this.#names.get(link) : undefined;
    const part = linked ?? this.#parts.forNameIn(parentOf(name));
    this.#names.set(name, part);
    if (part !== this.#part) return false;
    this.#addDirectory(parentOf(name));
    this.#countLookups(name);
    return true;
  }

  /** Puts a directory into the part that is written, and those that it is in. */
  #addDirectory(name: string): void {
    if (this.#children.has(name)) return;
    this.#addDirectory(parentOf(name));
    this.#children.set(name, 0);
    this.#countLookups(name);
  }

  /** Counts what sqfstar will have to look at to put the name where it belongs. */
  #countLookups(name: string): void {
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
      const whiteout = emptyEntry({ name, type: '3', mode: 0, mtime });
      if (this.#place(whiteout)) this.push(buildEntry(whiteout));
    }
    const mtime = Math.floor(Date.now() / 1000);
    for (const name of [...this.#children.keys()].sort()) {
      if (name === '') continue;
      // one that no entry describes is made while the layer is unpacked
      const entry = this.#directories.get(name) ?? emptyEntry({ mode: 0o755, mtime });
      const records = new Map(entry.records);
      // of a directory in several images the lowest hides what is below all of them
      if (this.#opaque.has(name) && this.#parts.ofDirectory(name) === this.#part)
        records.set(opaqueRecord, Buffer.from('y'));
      this.push(buildEntry({ ...entry, name: `${name}/`, link: '', type: '5', records }));
    }
    this.writeEnd();
  }
}

/** With a name below the layer's root, and numbers that a squashfs image can hold. */
function cleaned(entry: TarEntry): TarEntry {
  const name = cleanMemberName(entry.name);
  const tooLong = entry.name.length > maxNameBytes || entry.link.length > maxNameBytes;
  if (tooLong || (name.length > maxPartBytes && hasLongPart(name)))
    throw new TarError(`${entry.type === '5' ? 'mkdir' : 'open'} /${name}: file name too long`);
  if (entry.type === '2' && entry.link === '')
    throw new TarError(`symlink  /${name}: no such file or directory`);
  if (entry.uid < 0 || entry.uid > maxId || entry.gid < 0 || entry.gid > maxId)
    throw new TarError(`lchown /${name}: invalid argument`);
  return {
    ...entry,
    name,
    link: entry.type === '1' ? cleanMemberName(entry.link) : entry.type === '2' ? entry.link : '',
    uid: ownerId(entry.uid),
    gid: ownerId(entry.gid),
    mtime: keptSeconds(entry.mtime),
    deviceMajor: entry.deviceMajor & 0xfff, // as Docker makes a device's number of them
    deviceMinor: entry.deviceMinor & 0xfffff,
    records: keptAttributes(entry.records),
  };
}

/** Of a whiteout, what it hides has to have a name that can be. */
function hasLongPart(name: string): boolean {
  const hidden = baseOf(name).startsWith(whiteoutPrefix) ? whiteoutPrefix.length : 0;
  const parts = name.split('/');
  const base = parts.pop() ?? '';
  return base.length - hidden > maxPartBytes || parts.some((part) => part.length > maxPartBytes);
}

function keptSeconds(mtime: number): number {
  return mtime < 0 || mtime > lastSecond ? 0 : Math.min(mtime, maxSeconds);
}

/** chown(2) takes -1 for "leave it". */
function ownerId(id: number): number {
  return id === maxId ? 0 : id;
}

/** Throws for attributes that the kernel would not set. */
function keptAttributes(records: TarEntry['records']): TarEntry['records'] {
  for (const [key, value] of records) {
    const name = key.slice('SCHILY.xattr.'.length);
    if (name === '' || name.length > maxPartBytes) throw new TarError('numerical result out of range');
    if (name === 'security.capability' && !capabilityBytes.includes(value.length))
      throw new TarError('invalid argument');
  }
  return new Map([...records].filter(([key]) => isKeptAttribute(key)));
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
