// delivery/: what exports of results and of caches share.
//
// Attributes of `--output` and `--cache-to`, read as BuildKit reads them: what is none of a kind is refused, and what has no effect is said.

import { parseGoBool } from '../../../go/bool';
import { BuildError } from '../../contract/errors';
import type { ExportRequest } from '../../contract/exporter';
import type { BlobCompression } from '../../../storage/contract/stores';
import { AnnotationSet } from './annotations';

const maxNames = 100;

export class ExportAttributes {
  readonly #attributes: ReadonlyMap<string, string>;
  readonly #asked = new Set<string>();

  constructor(attributes: ReadonlyMap<string, string>) {
    this.#attributes = attributes;
  }

  text(name: string): string | undefined {
    this.#asked.add(name);
    return this.#attributes.get(name);
  }

  /** Alone it means true. Throws InvalidArgument. */
  flag(name: string): boolean | undefined {
    const text = this.text(name);
    if (text === undefined || text === '') return text === undefined ? undefined : true;
    const value = parseGoBool(text);
    if (value === undefined)
      throw new BuildError('InvalidArgument', `non-bool value specified for ${name}: ${text.slice(0, 64)}`);
    return value;
  }

  /** Refuses what would change the outcome, and isn't done. */
  refuse(name: string, why: string): void {
    if (this.flag(name) === true)
      throw new BuildError('Unimplemented', `exporter option ${name} is not supported: ${why}`);
  }

  annotations(): AnnotationSet {
    for (const name of this.#attributes.keys()) if (AnnotationSet.isAnnotation(name)) this.#asked.add(name);
    return new AnnotationSet(this.#attributes);
  }

  /** A client may give a result's metadata here. */
  metadata(): ReadonlyMap<string, Buffer> {
    const isMetadata = (name: string): boolean => /^(containerimage\.|refs\.|source\.date\.)/.test(name);
    const found = [...this.#attributes].filter(([name]) => isMetadata(name));
    for (const [name] of found) this.#asked.add(name);
    return new Map(found.map(([name, text]) => [name, Buffer.from(text)]));
  }

  /** Tells of those that nobody has asked for. */
  warnOfOthers({ scope, type }: Pick<ExportRequest, 'scope' | 'type'>): void {
    for (const name of this.#attributes.keys()) {
      if (this.#asked.has(name)) continue;
      const short = `exporter option "${name.slice(0, 100)}" is not known to the exporter ${type} and has no effect`;
      scope.progress.warning({ vertex: '', level: 1, short, detail: [], url: '', ranges: [] });
    }
  }
}

export function namesIn(text = ''): string[] {
  const names = text.split(',').filter((name) => name !== '');
  if (names.length > maxNames) throw new BuildError('InvalidArgument', `more than ${maxNames} names`);
  return names;
}

/** Seconds since the epoch; undefined where nobody says, null where it is said to be none. */
export function epochIn(text: string | undefined, name: string): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === '') return null;
  if (!/^[+-]?\d{1,15}$/.test(text))
    throw new BuildError(
      'InvalidArgument',
      `invalid ${name}: strconv.ParseInt: parsing ${JSON.stringify(text.slice(0, 64))}: invalid syntax`,
    );
  return Number(text);
}

export interface CompressionWish {
  readonly compression: BlobCompression;
  /** Also of layers that came compressed otherwise. */
  readonly force: boolean;
  /** Nobody has asked for anything. */
  readonly isDefault: boolean;
}

export function compressionIn(attributes: ExportAttributes): CompressionWish {
  const text = attributes.text('compression');
  const force = attributes.flag('force-compression') ?? false;
  if (attributes.text('compression-level') !== undefined)
    throw new BuildError(
      'Unimplemented',
      'exporter option compression-level is not supported: layers are kept at one level',
    );
  return { compression: compressionOf(text), force, isDefault: text === undefined && !force };
}

function compressionOf(text: string | undefined): BlobCompression {
  switch (text) {
    case undefined:
    case 'gzip':
      return 'gzip';
    case 'zstd':
      return 'zstd';
    case 'uncompressed':
      return 'none';
    case 'estargz':
      throw new BuildError(
        'Unimplemented',
        'exporter option compression=estargz is not supported: use gzip or zstd',
      );
    default:
      throw new BuildError('InvalidArgument', `unsupported compression type ${text.slice(0, 64)}`);
  }
}
