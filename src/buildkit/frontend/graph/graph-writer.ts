// Writes LLB: each operation is encoded when it is added, so that an edge is no more than a digest and a number.

import { BuildError } from '../../contract/errors';
import type { Definition, OpMetadata } from '../../contract/llb';
import { digestOf } from '../../llb/graph';
import { Op, type OpInit, type ProgressGroup, type SourceInfo } from '../../messages/ops';
import { rangesOf, type Lines } from '../text/statement';

/** Output `index` of the operation with that digest. */
export interface Output {
  readonly digest: string;
  readonly index: number;
}

export interface About {
  /** What clients show. */
  readonly name?: string;
  readonly lines?: readonly Lines[];
  readonly ignoresCache?: boolean;
  readonly group?: ProgressGroup | undefined;
  readonly description?: Iterable<readonly [string, string]>;
  /** What a solver has to know for it. */
  readonly capabilities?: readonly string[];
}

interface Written {
  readonly bytes: Buffer;
  readonly inputs: readonly string[];
  description: Map<string, string>;
  ignoresCache: boolean;
  group: ProgressGroup | undefined;
  capabilities: Set<string>;
  lines: Lines[];
  /** Of another's definition: its places in texts that aren't ours. */
  foreign?: OpMetadata;
}

const maxBytes = 64 * 1024 * 1024;
const maxVertexes = 50_000;

export class GraphWriter {
  readonly #written = new Map<string, Written>();
  #bytes = 0;

  /** Equal operations are one. Its first output. */
  add(op: Omit<OpInit, 'inputs'>, inputs: readonly Output[], about: About = {}): Output {
    const bytes = Op.encode({ ...op, inputs: inputs.map(({ digest, index }) => ({ digest, index })) });
    const digest = digestOf(bytes);
    const written = this.#at(
      digest,
      bytes,
      inputs.map((input) => input.digest),
    );
    const { name, lines = [], description = [], capabilities = [] } = about;
    const { ignoresCache = false, group } = about;
    // what several uses have in common is shown as the last one
    if (name !== undefined) written.description.set('llb.customname', name);
    for (const [key, value] of description) written.description.set(key, value);
    for (const capability of capabilities) written.capabilities.add(capability);
    written.lines.push(...lines);
    written.ignoresCache ||= ignoresCache;
    written.group ??= group;
    return { digest, index: 0 };
  }

  /** A graph of somebody else's as a part of this one; undefined for an empty one. Throws BuildError for what is none. */
  include({ def, metadata }: Definition): Output | undefined {
    let result: Output | undefined;
    for (const [at, bytes] of def.entries()) {
      const digest = digestOf(bytes);
      const { inputs } = Op.decode(bytes);
      if (at === def.length - 1) {
        const [input] = inputs;
        result = input && { digest: input.digest, index: input.index };
        break;
      }
      const written = this.#at(
        digest,
        bytes,
        inputs.map((input) => input.digest),
      );
      const about = metadata.get(digest);
      if (about === undefined) continue;
      written.foreign ??= about;
      written.ignoresCache ||= about.ignore_cache;
    }
    if (result !== undefined && !this.#written.has(result.digest))
      throw new BuildError('InvalidArgument', 'invalid definition: its result is not a part of it');
    return result;
  }

  /** What the output needs, as a definition. The lines of its operations are lines of `info`. */
  definition(output: Output | undefined, info?: SourceInfo): Definition {
    if (output === undefined) return { def: [], metadata: new Map(), Source: undefined };
    const used = this.#usedBy(output);
    const last = Op.encode({ inputs: [{ digest: output.digest, index: output.index }] });
    const parts = [...this.#written].filter(([digest]) => used.has(digest));
    const metadata: [string, OpMetadata][] = parts.map(([digest, written]) => [digest, metadataOf(written)]);
    const locations = parts.flatMap(([digest, { lines }]) =>
      lines.length === 0
        ? []
        : [[digest, { locations: lines.map((at) => ({ sourceIndex: 0, ranges: rangesOf(at) })) }] as const],
    );
    return {
      def: [...parts.map(([, { bytes }]) => bytes), last],
      metadata: new Map(metadata),
      Source: info === undefined ? undefined : { infos: [info], locations: new Map(locations) },
    };
  }

  #at(digest: string, bytes: Buffer, inputs: readonly string[]): Written {
    const there = this.#written.get(digest);
    if (there !== undefined) return there;
    this.#bytes += bytes.length;
    if (this.#bytes > maxBytes || this.#written.size >= maxVertexes)
      throw new BuildError('ResourceExhausted', 'the build is too large');
    const written: Written = {
      bytes,
      inputs,
      description: new Map(),
      ignoresCache: false,
      group: undefined,
      capabilities: new Set(),
      lines: [],
    };
    this.#written.set(digest, written);
    return written;
  }

  #usedBy(output: Output): Set<string> {
    const used = new Set<string>();
    const todo = [output.digest];
    for (let digest = todo.pop(); digest !== undefined; digest = todo.pop()) {
      if (used.has(digest)) continue;
      used.add(digest);
      todo.push(...(this.#written.get(digest)?.inputs ?? []));
    }
    return used;
  }
}

function metadataOf(written: Written): OpMetadata {
  const { description, ignoresCache, group, capabilities, foreign } = written;
  return {
    ignore_cache: ignoresCache,
    description: new Map([...(foreign?.description ?? []), ...description]),
    export_cache: foreign?.export_cache,
    caps: new Map([...(foreign?.caps ?? []), ...[...capabilities].map((name) => [name, true] as const)]),
    progress_group: group ?? foreign?.progress_group,
    linux_resources: foreign?.linux_resources,
  };
}
