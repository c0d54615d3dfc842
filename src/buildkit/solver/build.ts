// One build: the vertexes of its graphs, each once, and the refs that it was given.

import { randomBytes } from 'node:crypto';
import { unlessAborted } from '../../async/deadline';
import { errorMessage } from '../../errors';
import { log } from '../../log';
import { FileTree } from '../../builder/file-tree';
import { BuildError, withDetails, type ErrorDetail } from '../contract/errors';
import type { Definition, Edge, SourceOp, SourcePolicy } from '../contract/llb';
import { sourceAttributes } from '../contract/llb';
import type {
  BuildScope,
  BuildSolver,
  CachedStep,
  CacheSource,
  ContainerRun,
  ImageConfigResult,
  Ref,
  ResolveOptions,
  SourceMetadata,
  UsedSource,
} from '../contract/solver';
import type { ExecOutput } from '../contract/executor';
import { digestOf, loadGraph, sourcesOf, vertexesOf } from '../llb/graph';
import { emptyLayer } from './files/layer-trees';
import { operationOf } from './operations';
import { cacheIdOf, runContainer } from './ops/exec';
import { leftOf } from './ops/failed-run';
import type { StepResult } from './ops/operation';
import { CacheImports } from './remote-cache/cache-import';
import { inRunContext } from './run-context';
import { checkPolicy, graphByPolicy, sourceByPolicy } from './source-policy';
import { resultOfLayers, schemeOf, sourceOf, VertexWork, type SolverCore } from './vertex-work';

export class Build implements BuildSolver {
  readonly #scope: BuildScope;
  readonly #core: SolverCore;
  readonly #closed: () => Promise<void>;
  readonly #abort = new AbortController();
  /** Of what must not be used when the build is over. */
  readonly #signal: AbortSignal;
  readonly #works = new Map<string, VertexWork>();
  readonly #announced = new Set<VertexWork>();
  /** What the refs of this build are. */
  readonly #results = new WeakMap<Ref, (signal: AbortSignal) => Promise<StepResult>>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #releases: (() => void)[] = [];
  readonly #imports: CacheImports;
  readonly #policies: readonly SourcePolicy[];
  #isClosed = false;

  /** `closed` ends what else the build had. */
  constructor(scope: BuildScope, core: SolverCore, closed: () => Promise<void>) {
    this.#scope = scope;
    this.#core = core;
    this.#closed = closed;
    this.#signal = AbortSignal.any([scope.signal, this.#abort.signal]);
    this.#policies = scope.sourcePolicy === undefined ? [] : [scope.sourcePolicy];
    this.#imports = new CacheImports(core.cacheImports, scope, this.#signal);
  }

  async solve(
    given: Definition,
    {
      cacheImports = [],
      policies = [],
    }: { cacheImports?: readonly CacheSource[]; policies?: readonly SourcePolicy[] },
    signal: AbortSignal,
  ): Promise<Ref | undefined> {
    for (const policy of policies) checkPolicy(policy);
    signal.throwIfAborted();
    this.#signal.throwIfAborted();
    this.#imports.add([...this.#scope.cacheImports, ...cacheImports]);
    if (loadGraph(given) === undefined) return undefined;
    const definition = graphByPolicy([...this.#policies, ...policies], given);
    const edge = loadGraph(definition);
    if (edge === undefined) return undefined;
    for (const vertex of vertexesOf(edge)) {
      try {
        this.#add(vertex);
      } catch (error) {
        throw withDetails(notLoaded(error), [
          { kind: 'vertex', digest: vertex.digest },
          ...sourcesOf(definition, vertex.digest),
        ]);
      }
    }
    await this.#core.cacheMounts.empty(emptiedCaches(edge));
    return this.#ref(edge, definition);
  }

  async resolveImageConfig(
    ref: string,
    options: ResolveOptions,
    signal: AbortSignal,
  ): Promise<ImageConfigResult> {
    const attrs = new Map([[sourceAttributes.imageResolveMode, options.mode]]);
    const { source, image } = await this.resolveSource(
      { identifier: `docker-image://${ref}`, attrs },
      options,
      signal,
    );
    if (image === undefined) throw new BuildError('Internal', `${ref} has no configuration`);
    return { ref: source.identifier.replace(/^docker-image:\/\//, ''), ...image };
  }

  async resolveSource(
    given: SourceOp,
    { platform, logName, policies = [] }: ResolveOptions,
    signal: AbortSignal,
  ): Promise<SourceMetadata> {
    for (const policy of policies) checkPolicy(policy);
    const op = this.#allowed(given, policies);
    const source = this.#core.sources.get(schemeOf(op.identifier));
    if (source === undefined)
      throw new BuildError('Unimplemented', `no source for ${op.identifier.slice(0, 200)}`);
    const both = AbortSignal.any([signal, this.#signal]);
    const digest = digestOf(Buffer.from(JSON.stringify([logName, op.identifier])));
    const tell = (more: object): void => {
      if (logName !== '') this.#scope.progress.vertex({ digest, name: logName, inputs: [], ...more });
    };
    const startedMs = Date.now();
    tell({ startedMs });
    try {
      const request = { op, platform, vertex: digest, scope: this.#scope };
      const { metadata } = await unlessAborted(source.resolve(request, both), both);
      tell({ startedMs, completedMs: Date.now() });
      return metadata;
    } catch (error) {
      tell({ startedMs, completedMs: Date.now(), error: errorMessage(error) });
      throw error;
    }
  }

  /** It takes no place among the steps that run at once: it may wait for them. */
  async runContainer(container: ContainerRun, output: ExecOutput, signal: AbortSignal): Promise<number> {
    const both = AbortSignal.any([signal, this.#signal]);
    both.throwIfAborted();
    const running = this.#runContainer(container, output, both);
    this.#track(running);
    return running;
  }

  async #runContainer(container: ContainerRun, output: ExecOutput, signal: AbortSignal): Promise<number> {
    const inputs = await Promise.all(
      container.refs.map(async (ref) => {
        if (ref === undefined) return emptyResult;
        const result = this.#results.get(ref);
        if (result === undefined) throw new BuildError('NotFound', `no such ref: ${ref.id}`);
        return await result(signal);
      }),
    );
    return inRunContext(this.#core, this.#scope, { resources: undefined, log: () => undefined }, (context) =>
      runContainer(container, inputs, context, output, signal),
    );
  }

  #allowed(source: SourceOp, policies: readonly SourcePolicy[]): SourceOp {
    try {
      return sourceByPolicy([...this.#policies, ...policies], source);
    } catch (error) {
      const why = `could not resolve image due to policy: ${errorMessage(error)}`;
      throw new BuildError('Unknown', why, { cause: error });
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abort.abort(new BuildError('Cancelled', 'context canceled'));
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
    for (const release of this.#releases.splice(0)) this.#release(release);
    // The build is kept for a while, for what it told: not with the listings and file trees of its steps.
    this.#works.clear();
    this.#announced.clear();
    await this.#closed();
  }

  #release(release: () => void): void {
    try {
      release();
    } catch (error) {
      log.error('something of a build could not be released', { error });
    }
  }

  #add(vertex: Edge['vertex']): void {
    const id = workId(vertex);
    if (this.#works.has(id)) return;
    const operation = operationOf(vertex, this.#scope.entitlements);
    if (operation === undefined && sourceOf(vertex, this.#core.sources) === undefined)
      throw new BuildError('Unimplemented', `source of ${vertex.digest} is not supported`);
    const inputs = vertex.inputs.map(({ vertex: input, index }) => {
      const work = this.#works.get(workId(input));
      if (work === undefined) throw new BuildError('Internal', `vertex ${input.digest} is missing`);
      return { work, index };
    });
    const build = {
      scope: this.#scope,
      signal: this.#signal,
      track: (work: Promise<unknown>) => this.#track(work),
      atEnd: (release: () => void) => {
        if (this.#isClosed && this.#running.size === 0) this.#release(release);
        else this.#releases.push(release);
      },
      imports: this.#imports,
    };
    this.#releases.push(this.#core.wanted.add(vertex.digest, this.#scope));
    this.#works.set(id, new VertexWork(vertex, operation, inputs, this.#core, build));
  }

  #ref(edge: Edge, definition: Definition): Ref {
    const result = (signal: AbortSignal): Promise<StepResult> =>
      this.#asked(definition, signal, () => {
        this.#announce(edge);
        const work = this.#works.get(workId(edge.vertex));
        if (work === undefined) throw new BuildError('Internal', 'the vertex is missing');
        return work.output(edge.index);
      });
    const inputsOf = <T>(
      signal: AbortSignal,
      read: (result: StepResult, signal: AbortSignal) => Promise<T>,
    ): Promise<T> =>
      result(signal).then((made) => this.#asked(definition, signal, () => read(made, this.#signal)));
    const ref: Ref = {
      id: randomBytes(16).toString('hex'),
      definition,
      evaluate: (signal) => inputsOf(signal, (made, own) => evaluated(edge, made, own)),
      layers: (signal) => inputsOf(signal, (made, own) => made.layers(own)),
      tree: (signal) => inputsOf(signal, (made, own): Promise<FileTree> => made.tree(own)),
      cachedSteps: (signal) => this.#asked(definition, signal, () => this.#cachedStepsOf(edge)),
      stepLayers: (signal) => this.#asked(definition, signal, () => this.#stepLayersOf(edge)),
      sources: (signal) => this.#asked(definition, signal, () => this.#sourcesOf(edge)),
    };
    this.#results.set(ref, result);
    return ref;
  }

  async #cachedStepsOf(edge: Edge): Promise<CachedStep[]> {
    const steps: CachedStep[] = [];
    for (const vertex of vertexesOf(edge)) {
      const step = await this.#works.get(workId(vertex))?.cachedStep();
      if (step !== undefined) steps.push(step);
    }
    return steps;
  }

  async #stepLayersOf(edge: Edge): Promise<Map<string, readonly (readonly string[])[]>> {
    const layers = new Map<string, readonly (readonly string[])[]>();
    for (const vertex of vertexesOf(edge)) {
      const made = await this.#works.get(workId(vertex))?.madeLayers();
      const isFull = (diffId: string): boolean => diffId !== emptyLayer;
      if (made !== undefined)
        layers.set(
          vertex.digest,
          made.map((diffIds) => diffIds.filter(isFull)),
        );
    }
    return layers;
  }

  async #sourcesOf(edge: Edge): Promise<UsedSource[]> {
    const used: UsedSource[] = [];
    for (const vertex of vertexesOf(edge)) {
      const { op, platform } = vertex.op;
      const work = this.#works.get(workId(vertex));
      if (op?.kind !== 'source' || work === undefined) continue;
      used.push({ op: op.value, platform, metadata: (await work.resolve()).metadata });
    }
    return used;
  }

  /** Work goes on when the one who asked gives up: it is the build's. Failures say where in the definition's text. */
  async #asked<T>(definition: Definition, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    const running = work();
    this.#track(running);
    try {
      return await unlessAborted(running, AbortSignal.any([signal, this.#signal]));
    } catch (error) {
      const vertex =
        error instanceof BuildError ? error.details.find(({ kind }) => kind === 'vertex') : undefined;
      if (vertex?.kind !== 'vertex') throw error;
      throw withDetails(error, [
        ...sourcesOf(definition, vertex.digest),
        ...this.#failedOperation(error, vertex.digest),
      ]);
    }
  }

  /** As refs: what a failed operation had and left. */
  #failedOperation(error: unknown, digest: string): ErrorDetail[] {
    const left = leftOf(error);
    const vertex = [...this.#works.values()].find((work) => work.vertex.digest === digest)?.vertex;
    if (left === undefined || vertex === undefined) return [];
    const refOf = (result: StepResult | undefined): Ref | undefined => result && this.#madeRef(result);
    const failed = {
      op: vertex.op,
      description: vertex.metadata?.description ?? new Map<string, string>(),
      inputs: left.inputs.map(refOf),
      mounts: left.mounts.map((diffIds) => refOf(diffIds && resultOfLayers(this.#core, diffIds))),
      at: left.at,
    };
    return [{ kind: 'failedOperation', failed }];
  }

  /** Of what is there, and of no graph. */
  #madeRef(result: StepResult): Ref {
    const ref: Ref = {
      id: randomBytes(16).toString('hex'),
      definition: { def: [], metadata: new Map(), Source: undefined },
      evaluate: () => Promise.resolve(),
      layers: () => result.layers(this.#signal),
      tree: () => result.tree(this.#signal),
      cachedSteps: () => Promise.resolve([]),
      stepLayers: () => Promise.resolve(new Map<string, never>()),
      sources: () => Promise.resolve([]),
    };
    this.#results.set(ref, () => Promise.resolve(result));
    return ref;
  }

  #track(work: Promise<unknown>): void {
    this.#running.add(work);
    const over = (): void => void this.#running.delete(work);
    work.then(over, over);
  }

  #announce(edge: Edge): void {
    for (const vertex of vertexesOf(edge)) {
      const work = this.#works.get(workId(vertex));
      if (work === undefined || this.#announced.has(work)) continue;
      this.#announced.add(work);
      work.announce();
    }
  }
}

/** Of a mount that nothing is in. */
const emptyResult: StepResult = {
  identity: '',
  layers: () => Promise.resolve([]),
  tree: () => Promise.resolve(new FileTree()),
  vm: undefined,
};

/** A source that is the whole result is fetched: evaluating means that it is there. */
async function evaluated({ vertex }: Edge, result: StepResult, signal: AbortSignal): Promise<void> {
  if (vertex.op.op?.kind !== 'source') return;
  if (vertex.op.op.value.identifier.startsWith('local://')) await result.tree(signal);
  else await result.layers(signal);
}

/** Cache mounts of steps that must be made anew begin anew, too. */
function emptiedCaches(edge: Edge): Set<string> {
  return new Set(
    vertexesOf(edge).flatMap(({ op: { op }, metadata }) =>
      metadata?.ignore_cache === true && op?.kind === 'exec' ? op.value.mounts.flatMap(cacheIdOf) : [],
    ),
  );
}

/** What must be made anew is another vertex than what need not. */
function workId({ digest, metadata }: Edge['vertex']): string {
  return metadata?.ignore_cache === true ? `${digest}:new` : digest;
}

/** What a build isn't allowed, in BuildKit's words. */
function notLoaded(error: unknown): unknown {
  if (!(error instanceof BuildError) || error.code !== 'PermissionDenied') return error;
  return new BuildError('Unknown', `failed to load LLB: ${error.message}`, { cause: error });
}
