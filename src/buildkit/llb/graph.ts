// A definition as a graph of vertexes: checked, since it is a client's.

import { createHash } from 'node:crypto';
import { BuildError, type ErrorDetail } from '../contract/errors';
import type { Definition, Edge, Vertex } from '../contract/llb';
import { Op } from '../messages/ops';
import { CodecError } from '../wire/codec';

const maxVertexes = 100_000;
/** Edges of all vertexes together. */
const maxEdges = 1_000_000;

/**
 * The edge that a definition's result is; undefined if it has none. Each vertex is one object however many use it. Throws BuildError
 * InvalidArgument for what is no graph. What an operation says is for the solver to check.
 */
export function loadGraph(definition: Definition): Edge | undefined {
  if (definition.def.length === 0) return undefined;
  if (definition.def.length > maxVertexes) throw invalid(`more than ${maxVertexes} vertexes`);
  const vertexes = new Map<string, Vertex>();
  let edges = 0;
  let last: readonly Edge[] = [];
  // each comes after those it uses, so there is no circle
  for (const bytes of definition.def) {
    const digest = digestOf(bytes);
    const op = decodeOp(bytes, digest);
    edges += op.inputs.length;
    if (edges > maxEdges) throw invalid(`more than ${maxEdges} inputs`);
    const inputs = op.inputs.map(({ digest: used, index }) => {
      const vertex = vertexes.get(used);
      if (vertex === undefined) throw invalid(`invalid missing input digest ${used}`);
      if (index < 0) throw invalid(`invalid input index ${index}`);
      return { vertex, index };
    });
    last = inputs;
    vertexes.set(digest, { digest, op, bytes, metadata: definition.metadata.get(digest), inputs });
  }
  const [result] = last;
  if (last.length !== 1) throw invalid('the last vertex has to have one input');
  return result;
}

/** Every vertex that an edge needs, each once and after those it uses. */
export function vertexesOf(edge: Edge): Vertex[] {
  const done = new Set<Vertex>();
  const order: Vertex[] = [];
  const todo: { vertex: Vertex; next: number }[] = [{ vertex: edge.vertex, next: 0 }];
  for (let top = todo.at(-1); top !== undefined; top = todo.at(-1)) {
    const input = top.vertex.inputs[top.next];
    top.next += 1;
    if (input === undefined) {
      todo.pop();
      if (!done.has(top.vertex)) order.push(top.vertex);
      done.add(top.vertex);
    } else if (!done.has(input.vertex)) {
      todo.push({ vertex: input.vertex, next: 0 });
    }
  }
  return order;
}

/** `sha256:…` of a vertex's bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Where in the definition's texts a vertex comes from, the last place told first: for the error that it ended with. */
export function sourcesOf(definition: Definition, digest: string): ErrorDetail[] {
  const locations = definition.Source?.locations.get(digest)?.locations ?? [];
  return locations.toReversed().flatMap(({ sourceIndex, ranges }) => {
    const info = definition.Source?.infos[sourceIndex];
    return info === undefined ? [] : [{ kind: 'source' as const, info, ranges }];
  });
}

function decodeOp(bytes: Buffer, digest: string): Op {
  try {
    return Op.decode(bytes);
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new BuildError('InvalidArgument', `failed to parse llb proto op ${digest}: ${error.message}`, {
      cause: error,
    });
  }
}

function invalid(reason: string): BuildError {
  return new BuildError('InvalidArgument', `invalid definition: ${reason}`);
}
