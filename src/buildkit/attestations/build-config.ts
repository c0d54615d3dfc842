// The graph of a build as provenance with `mode=max` shows it: its steps in order, and the texts they come from.

import type { Definition, Vertex } from '../contract/llb';
import { loadGraph, vertexesOf } from '../llb/graph';

interface Step {
  readonly id: string;
  readonly op: unknown;
  readonly inputs?: readonly string[];
}

export interface ShownGraph {
  readonly llbDefinition?: readonly Step[];
  readonly digestMapping?: Readonly<Record<string, string>>;
}

/** Texts and the places of steps in them. */
export interface ShownSource {
  readonly locations?: Readonly<Record<string, unknown>>;
  readonly infos?: readonly object[];
}

export function shownGraph(definition: Definition): ShownGraph {
  const vertexes = inOrder(definition);
  const ids = stepNames(definition);
  const steps = vertexes.map(({ digest, op, inputs }) => ({
    id: ids.get(digest) ?? '',
    op: shownOp(op),
    ...(inputs.length === 0
      ? {}
      : { inputs: inputs.map(({ vertex, index }) => `${ids.get(vertex.digest) ?? ''}:${index}`) }),
  }));
  return steps.length === 0 ? {} : { llbDefinition: steps, digestMapping: Object.fromEntries(ids) };
}

export function shownSource({ Source: source, ...rest }: Definition): ShownSource | undefined {
  if (source === undefined || source.infos.length === 0) return undefined;
  const ids = stepNames({ ...rest, Source: source });
  const locations = [...source.locations].flatMap(([digest, places]) => {
    const id = ids.get(digest);
    return id === undefined ? [] : [[id, plain(places)] as const];
  });
  return {
    ...(locations.length === 0 ? {} : { locations: Object.fromEntries(locations) }),
    infos: source.infos.map(({ filename, language, data }) => ({
      filename,
      ...(language === '' ? {} : { language }),
      data: data.toString('base64'),
    })),
  };
}

/** The numbers that `shownGraph` gives steps, by the vertexes' digests. */
export function stepNames(definition: Definition): ReadonlyMap<string, string> {
  return new Map(inOrder(definition).map(({ digest }, i) => [digest, `step${i}`]));
}

/** As a frontend wrote it, without the last one, which says only what the result is. */
function inOrder(definition: Definition): Vertex[] {
  const edge = loadGraph(definition);
  return edge === undefined ? [] : vertexesOf(edge);
}

function shownOp({ op, platform, constraints }: Vertex['op']): unknown {
  return {
    ...(op === undefined ? {} : { Op: { [op.kind]: plain(op.value) } }),
    ...(platform === undefined ? {} : { platform: plain(platform) }),
    constraints: plain(constraints ?? {}),
  };
}

/** As Go's JSON of such a message: what is empty is left out. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, each]) => [String(key), plain(each)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  if ('kind' in value && 'value' in value) {
    const { kind, value: inner } = value as { kind: string; value: unknown }; // one of several members
    return { [kind]: plain(inner) };
  }
  const members = Object.entries(value).filter(([, each]) => !isEmpty(each));
  return Object.fromEntries(members.map(([key, each]) => [key, plain(each)]));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === 0n || value === false)
    return true;
  if (Buffer.isBuffer(value) || Array.isArray(value)) return value.length === 0;
  return value instanceof Map && value.size === 0;
}
