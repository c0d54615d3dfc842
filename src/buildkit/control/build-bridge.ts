// The bridge of one build: what its frontends ask, in the daemon or through gRPC, and the refs they were given.

import type { LayerReader } from '../../builder/file-contents';
import { BuildError } from '../contract/errors';
import type { Bridge, Frontend, FrontendRequest, SolveRequest } from '../contract/frontend';
import type { Definition } from '../contract/llb';
import type { BuildWarning } from '../contract/progress';
import type { FileStat } from '../contract/session';
import {
  emptyResult,
  type BuildScope,
  type BuildSolver,
  type ImageConfigResult,
  type Ref,
  type Result,
  type Solver,
  type SourceMetadata,
} from '../contract/solver';
import { readDirectory, readFile, statFile } from './ref-files';

/** A frontend that asks another, that asks another. */
const maxDepth = 16;
/** Of one build. */
const maxRefs = 10_000;

export type Frontends = ReadonlyMap<string, Frontend>;

export interface BridgeParts {
  readonly solver: Solver;
  readonly frontends: Frontends;
  readonly layers: LayerReader;
}

export interface FrontendOrigin {
  readonly name: string;
  readonly options: ReadonlyMap<string, string>;
  /** What an SBOM of it is to be of besides. */
  readonly scanned: ReadonlyMap<string, Definition>;
}

export class BuildBridge implements Bridge {
  readonly capabilities: ReadonlySet<string>;
  readonly platforms: Bridge['platforms'];
  readonly sessionId: string;
  /** Graphs that the client gave its build. */
  readonly inputs: ReadonlyMap<string, Definition>;
  readonly #parts: BridgeParts;
  readonly #scope: BuildScope;
  readonly #build: BuildSolver;
  readonly #refs = new Map<string, Ref>();
  /** By the ids of refs, of which frontend they are. */
  readonly #origins = new Map<string, FrontendOrigin>();
  #depth = 0;

  constructor(
    parts: BridgeParts,
    scope: BuildScope,
    build: BuildSolver,
    inputs: ReadonlyMap<string, Definition>,
  ) {
    this.#parts = parts;
    this.#scope = scope;
    this.#build = build;
    this.capabilities = new Set(parts.solver.capabilities);
    this.platforms = parts.solver.platforms;
    this.sessionId = scope.sessionIds[0] ?? '';
    this.inputs = inputs;
  }

  async solve(request: SolveRequest, signal: AbortSignal): Promise<Result> {
    const result = await this.#solve(request, signal);
    for (const ref of allRefsOf(result)) {
      this.add(ref);
      if (request.what.kind === 'frontend') {
        const { name, request: asked } = request.what;
        this.#origins.set(ref.id, { name, options: asked.options, scanned: scannedWith(result, ref) });
      }
    }
    if (request.evaluate === true) await Promise.all(refsOf(result).map((ref) => ref.evaluate(signal)));
    return result;
  }

  /** Undefined of a graph that no frontend made. */
  originOf(ref: Ref): FrontendOrigin | undefined {
    return this.#origins.get(ref.id);
  }

  /** Throws ResourceExhausted. */
  add(ref: Ref): void {
    if (!this.#refs.has(ref.id) && this.#refs.size >= maxRefs)
      throw new BuildError('ResourceExhausted', 'the build has too many results');
    this.#refs.set(ref.id, ref);
  }

  /** By the id that a client was told. */
  ref(id: string): Ref {
    const ref = this.#refs.get(id);
    if (ref === undefined) throw new BuildError('NotFound', `no such ref: ${id.slice(0, 100)}`);
    return ref;
  }

  resolveImageConfig(...parameters: Parameters<Bridge['resolveImageConfig']>): Promise<ImageConfigResult> {
    return this.#build.resolveImageConfig(...parameters);
  }

  resolveSource(...parameters: Parameters<Bridge['resolveSource']>): Promise<SourceMetadata> {
    return this.#build.resolveSource(...parameters);
  }

  async readFile(
    ref: Ref,
    path: string,
    range: { offset?: number; length?: number },
    signal: AbortSignal,
  ): Promise<Buffer> {
    return readFile(this.#parts.layers, await ref.tree(signal), path, range);
  }

  async readDir(ref: Ref, path: string, pattern: string, signal: AbortSignal): Promise<FileStat[]> {
    return readDirectory(await ref.tree(signal), path, pattern);
  }

  async statFile(ref: Ref, path: string, signal: AbortSignal): Promise<FileStat> {
    return statFile(await ref.tree(signal), path);
  }

  runContainer(...parameters: Parameters<Bridge['runContainer']>): Promise<number> {
    return this.#build.runContainer(...parameters);
  }

  warn(warning: BuildWarning): void {
    this.#scope.progress.warning(warning);
  }

  async #solve(
    { what, cacheImports = [], policies = [] }: SolveRequest,
    signal: AbortSignal,
  ): Promise<Result> {
    if (what.kind === 'definition') {
      const ref = await this.#build.solve(what.definition, { cacheImports, policies }, signal);
      return { ...emptyResult, ref };
    }
    if (policies.length > 0)
      throw new BuildError('Unimplemented', 'source policies for another frontend are not supported');
    return this.#ask(what.name, what.request, signal);
  }

  async #ask(name: string, request: FrontendRequest, signal: AbortSignal): Promise<Result> {
    const frontend = this.#parts.frontends.get(name);
    if (frontend === undefined) throw new BuildError('NotFound', `invalid frontend: ${name.slice(0, 100)}`);
    if (this.#depth >= maxDepth)
      throw new BuildError('ResourceExhausted', 'frontends ask each other too deeply');
    this.#depth += 1;
    try {
      return await frontend.solve(this, request, signal);
    } finally {
      this.#depth -= 1;
    }
  }
}

function scannedWith({ refs, scanned }: Result, ref: Ref): FrontendOrigin['scanned'] {
  const [id] = [...refs].find(([, each]) => each === ref) ?? [];
  const [only] = scanned?.values() ?? [];
  return (id === undefined ? only : scanned?.get(id)) ?? new Map<string, Definition>();
}

/** What a result is, for each platform. */
export function refsOf(result: Result): Ref[] {
  return [result.ref, ...result.refs.values()].filter((ref) => ref !== undefined);
}

/** With those that state something of it. */
export function allRefsOf(result: Result): Ref[] {
  const stated = [...(result.attestations?.values() ?? []), ...(result.bundles?.values() ?? [])].flat();
  return [...refsOf(result), ...stated.flatMap(({ ref }) => ref ?? [])];
}
