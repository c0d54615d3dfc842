// One vertex in one build: its keys, whether the cache has it, and its run. Nothing begins before it is asked for.
//
// Two keys lead to what was made before. The definition key is of the operation and of what its inputs are defined as; it is known without
// running anything. The content key has, in place of an input that is only read by path, what the operation would read of
// it: known when the inputs are there, it hits where other files of theirs have changed.

import { createHash } from 'node:crypto';
import { errorMessage } from '../../errors';
import type { Slots } from '../../async/slots';
import { walk } from '../../builder/file-tree';
import { BuildError, withDetails } from '../contract/errors';
import type { Vertex } from '../contract/llb';
import type { VertexState } from '../contract/progress';
import type { BuildScope, CachedStep } from '../contract/solver';
import type { ResolvedSource, Snapshot, Source } from '../contract/source';
import type { CachedResults, ResultRecord } from './cache/results';
import { FailedRun, leftOf } from './ops/failed-run';
import type { Operation, StepResult } from './ops/operation';
import type { CacheImportParts, CacheImports } from './remote-cache/cache-import';
import { inRunContext, type RunTools } from './run-context';
import type { SharedRuns } from './shared-runs';
import type { WantedVertexes } from './wanted-vertexes';

export interface RunOutcome {
  readonly record: ResultRecord;
  readonly vm: StepResult['vm'];
}

/** What all vertexes of the daemon share. */
export interface SolverCore extends RunTools {
  readonly results: CachedResults;
  readonly runs: SharedRuns<RunOutcome>;
  readonly steps: Slots;
  readonly fileWork: Slots;
  readonly sources: ReadonlyMap<string, Source>;
  readonly cacheImports: CacheImportParts;
  /** Which builds have a vertex in their graphs. */
  readonly wanted: WantedVertexes;
  /** A step of that build runs until the promise is settled, whoever wants it. */
  stepOf(scope: BuildScope, step: Promise<unknown>): void;
}

/** The build that the vertex is in. */
export interface WorkScope {
  readonly scope: BuildScope;
  /** Aborted when the build is closed. */
  readonly signal: AbortSignal;
  /** The build isn't over before this is settled. */
  track(work: Promise<unknown>): void;
  /** Called when it is. */
  atEnd(release: () => void): void;
  /** Caches of elsewhere. */
  readonly imports: Pick<CacheImports, 'find'>;
}

export interface WorkInput {
  readonly work: VertexWork;
  readonly index: number;
}

interface DefinitionKey {
  readonly key: string;
  /** Something of it must be made anew, so what the key led to doesn't count. */
  readonly isFresh: boolean;
}

/** Which of the vertex' outputs there are. */
type Outputs = readonly StepResult[];

export class VertexWork {
  readonly vertex: Vertex;
  readonly inputs: readonly WorkInput[];
  readonly #operation: Operation | undefined;
  readonly #core: SolverCore;
  readonly #build: WorkScope;
  #state: VertexState;
  #definition: Promise<DefinitionKey> | undefined;
  #resolved: Promise<ResolvedSource> | undefined;
  #fetched: Promise<Snapshot> | undefined;
  #outputs: Promise<Outputs> | undefined;
  #recordId: string | undefined;

  /** `operation` undefined: a source. */
  constructor(
    vertex: Vertex,
    operation: Operation | undefined,
    inputs: readonly WorkInput[],
    core: SolverCore,
    build: WorkScope,
  ) {
    this.vertex = vertex;
    this.inputs = inputs;
    this.#operation = operation;
    this.#core = core;
    this.#build = build;
    const group = vertex.metadata?.progress_group;
    this.#state = {
      digest: vertex.digest,
      name: vertex.metadata?.description.get('llb.customname') ?? operation?.name ?? sourceName(vertex),
      inputs: vertex.inputs.map((input) => input.vertex.digest),
      ...(group === undefined ? {} : { group }),
    };
  }

  announce(): void {
    this.#build.scope.progress.vertex(this.#state);
  }

  /** Rejects with a BuildError that says which vertex failed. */
  outputs(): Promise<Outputs> {
    this.#outputs ??= this.#tracked(this.#make());
    return this.#outputs;
  }

  async output(index: number): Promise<StepResult> {
    const output = (await this.outputs())[index];
    if (output === undefined)
      throw new BuildError('InvalidArgument', `invalid output ${index} of ${this.vertex.digest}`);
    return output;
  }

  definition(): Promise<DefinitionKey> {
    this.#definition ??= this.#tracked(this.#defined());
    return this.#definition;
  }

  /** What a source is, without its contents. */
  resolve(): Promise<ResolvedSource> {
    this.#resolved ??= this.#tracked(this.#resolve());
    return this.#resolved;
  }

  async #resolve(): Promise<ResolvedSource> {
    try {
      // one of which nothing is known yet is not done with that: clients show a step's end once
      return await this.#telling(
        async () => this.#source().resolve(this.#request(), this.#build.signal),
        ({ cacheKey }) => cacheKey !== undefined,
      );
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'Cancelled') throw error;
      const message = `failed to load cache key: ${error.message}`;
      throw new BuildError(error.code, message, { cause: error, details: error.details });
    }
  }

  get #mustBeNew(): boolean {
    return this.vertex.metadata?.ignore_cache === true;
  }

  async #defined(): Promise<DefinitionKey> {
    // graphs are deep: each level begins with an empty stack
    await Promise.resolve();
    if (this.#operation === undefined) return { key: await this.#sourceKey(), isFresh: this.#mustBeNew };
    const inputs = await Promise.all(
      this.inputs.map(async ({ work, index }) => ({ ...(await work.definition()), index })),
    );
    const key = keyOf(
      'definition',
      this.#operation.keyBytes,
      inputs.map((input) => `${input.key}/${input.index}`),
    );
    return { key, isFresh: this.#mustBeNew || inputs.some(({ isFresh }) => isFresh) };
  }

  async #sourceKey(): Promise<string> {
    const { cacheKey } = await this.resolve();
    if (cacheKey !== undefined) return `source:${cacheKey}`;
    const tree = await (await this.#fetch()).tree(this.#build.signal);
    const files = [{ path: '', node: tree.root }, ...walk(tree.root)];
    return `files:${await this.#core.digests.of(files, this.#build.signal)}`;
  }

  async #make(): Promise<Outputs> {
    const { key, isFresh } = await this.definition();
    if (this.#operation === undefined) return [this.#sourceResult(key)];
    if (!isFresh) {
      const outputs = this.#cached(key) ?? (await this.#imported(key));
      if (outputs !== undefined) return outputs;
    }
    // while what it works on is made
    if (this.#operation.sharesVm === true) this.#core.host.executor.expect(this.#build.scope.id);
    const inputs = await this.#inputResults();
    return this.#inVertex(() => this.#run(inputs, key));
  }

  async #inputResults(): Promise<readonly StepResult[]> {
    return Promise.all(this.inputs.map(({ work, index }) => work.output(index)));
  }

  async #run(inputs: readonly StepResult[], definitionKey: string): Promise<Outputs> {
    const { results, runs } = this.#core;
    const operation = this.#operation;
    if (operation === undefined) return [];
    const contentKey = await this.#contentKey(operation, inputs);
    if (!this.#mustBeNew) {
      const outputs = this.#cached(contentKey) ?? (await this.#imported(contentKey));
      if (outputs !== undefined) {
        if (this.#recordId !== undefined) results.addKey(this.#recordId, definitionKey);
        return outputs;
      }
    }
    const { progress } = this.#build.scope;
    const member = {
      scope: this.#build.scope,
      log: (stream: 'stdout' | 'stderr', bytes: Uint8Array) =>
        progress.log(this.vertex.digest, stream, bytes),
      started: () => this.#tell({ startedMs: Date.now() }),
    };
    const shareKey = this.#mustBeNew ? `new:${contentKey}` : contentKey;
    const keys = [definitionKey, contentKey];
    const outcome = await this.#keepingLeft(
      runs.join(
        shareKey,
        member,
        {
          run: (scope, tell, signal) => {
            const slots = operation.isStep ? this.#core.steps : this.#core.fileWork;
            const work = (): Promise<RunOutcome> => {
              tell.started();
              return this.#runOnce(operation, inputs, { keys, scope, tell, signal });
            };
            const running = slots.run(work, signal);
            if (operation.isStep) this.#core.stepOf(scope, running);
            return running;
          },
        },
        this.#build.signal,
      ),
    );
    this.#build.atEnd(results.use(outcome.record.id));
    this.#recordId = outcome.record.id;
    this.#tell({ completedMs: Date.now() });
    return this.#resultsOf(outcome.record, outcome.vm);
  }

  /** What a failed run left is held as long as the build is open. */
  async #keepingLeft<T>(running: Promise<T>): Promise<T> {
    try {
      return await running;
    } catch (error) {
      const diffIds = leftOf(error)?.mounts.flatMap((mount) => mount ?? []) ?? [];
      if (diffIds.length > 0) this.#build.atEnd(this.#core.host.layers.hold(diffIds));
      throw error;
    }
  }

  async #runOnce(
    operation: Operation,
    inputs: readonly StepResult[],
    run: {
      keys: readonly string[];
      scope: BuildScope;
      tell: { log: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void };
      signal: AbortSignal;
    },
  ): Promise<RunOutcome> {
    const core = this.#core;
    const { scope, signal } = run;
    const own = {
      resources: this.vertex.metadata?.linux_resources,
      log: run.tell.log,
      wantedBy: () => core.wanted.scopesOf(this.vertex.digest),
    };
    return inRunContext(core, scope, own, async (context) => {
      const { outputs, vm } = await this.#keepingLeft(operation.run(inputs, context, signal));
      signal.throwIfAborted();
      const parents = this.inputs.flatMap(({ work }) =>
        work.#recordId === undefined ? [] : [work.#recordId],
      );
      const { record, release } = core.results.add({
        keys: [...new Set(run.keys)],
        outputs,
        parents: [...new Set(parents)],
        type: operation.recordType,
        description: this.#state.name,
      });
      this.#build.atEnd(release);
      return { record, vm: vm === undefined ? undefined : { buildId: scope.id, id: vm } };
    });
  }

  async #contentKey(operation: Operation, inputs: readonly StepResult[]): Promise<string> {
    const { signal } = this.#build;
    const parts = await Promise.all(
      inputs.map(async (input, i) => {
        try {
          const files = await operation.selected(i, () => input.tree(signal));
          return files === undefined ? input.identity : await this.#core.digests.of(files, signal);
        } catch (error) {
          // of an image without layers there is no checksum: the operation says what it misses
          if (isNotFound(error) && (await this.#isEmptyImage(i, input))) return input.identity;
          throw this.#checksumError(error, i, input);
        }
      }),
    );
    return keyOf('content', operation.keyBytes, parts);
  }

  /** What a step left, or a context that nothing was sent of, is a directory all the same. */
  async #isEmptyImage(index: number, input: StepResult): Promise<boolean> {
    const vertex = this.inputs[index]?.work.vertex;
    if (vertex === undefined || !['docker-image', 'oci-layout'].includes(schemeOf(sourceName(vertex))))
      return false;
    return (await input.layers(this.#build.signal)).length === 0;
  }

  #checksumError(error: unknown, index: number, input: StepResult): unknown {
    if (!isNotFound(error)) return error;
    const ref = (this.inputs[index]?.work.vertex.digest ?? '').slice(-25);
    const why = `failed to compute cache key: failed to calculate checksum of ref ${ref}: ${error.message}`;
    const told = new BuildError(error.code, why, { cause: error, details: error.details });
    return new FailedRun(told, { inputs: [input], mounts: [], at: { kind: 'cache', index } });
  }

  #cached(key: string): Outputs | undefined {
    const found = this.#core.results.find(key);
    if (found === undefined) return undefined;
    this.#build.atEnd(found.release);
    this.#recordId = found.record.id;
    this.#tellCached();
    return this.#resultsOf(found.record, undefined);
  }

  /** Of a cache elsewhere: from now on it is ours. */
  async #imported(key: string): Promise<Outputs | undefined> {
    const found = await this.#build.imports.find(key);
    if (found === undefined) return undefined;
    try {
      const { release } = this.#core.results.add({
        keys: [key],
        outputs: found.outputs,
        parents: [],
        type: this.#operation?.recordType ?? 'regular',
        description: this.#state.name,
      });
      const outputs = this.#cached(key);
      release();
      return outputs;
    } finally {
      found.release();
    }
  }

  /** Undefined for sources, and where the cache has nothing of it. */
  async cachedStep(): Promise<CachedStep | undefined> {
    if (this.#operation === undefined) return undefined;
    const { key } = await this.definition();
    const found = this.#core.results.findFor(this.#recordId, key);
    if (found === undefined) return undefined;
    this.#build.atEnd(found.release);
    const { keys, outputs, createdAtMs } = found.record;
    return { keys, outputs, createdAtMs };
  }

  /** By output; undefined where nothing of it is at hand. */
  async madeLayers(): Promise<readonly (readonly string[])[] | undefined> {
    if (this.#operation !== undefined) return (await this.cachedStep())?.outputs;
    const isImage = ['docker-image', 'oci-layout'].includes(schemeOf(sourceName(this.vertex)));
    if (!isImage || this.#fetched === undefined) return undefined;
    return [await (await this.#fetched).layers(this.#build.signal)];
  }

  /** With what it was made of, where that is in the cache too: clients show each such step. */
  #tellCached(): void {
    const now = Date.now();
    this.#tell({ startedMs: now, completedMs: now, cached: true });
    const todo = this.inputs.map(({ work }) => work);
    const seen = new Set(todo);
    for (let work = todo.pop(); work !== undefined; work = todo.pop()) {
      // what it was made of was told with it
      if (work.#state.startedMs !== undefined) continue;
      work.#tell({ startedMs: now, completedMs: now, cached: true });
      for (const input of work.inputs) {
        if (!seen.has(input.work)) todo.push(input.work);
        seen.add(input.work);
      }
    }
  }

  #resultsOf({ outputs }: ResultRecord, vm: StepResult['vm']): Outputs {
    return outputs.map((diffIds) => ({ ...resultOfLayers(this.#core, diffIds), vm }));
  }

  #sourceResult(identity: string): StepResult {
    return {
      identity,
      layers: async (signal) => (await this.#fetch()).layers(signal),
      tree: async (signal) => (await this.#fetch()).tree(signal),
      vm: undefined,
    };
  }

  #fetch(): Promise<Snapshot> {
    this.#fetched ??= this.#tracked(
      this.#telling(async () => {
        const resolved = await this.resolve();
        const snapshot = await resolved.fetch(this.#build.signal);
        this.#build.atEnd(() => snapshot.release());
        return snapshot;
      }),
    );
    return this.#fetched;
  }

  #source(): Source {
    const source = sourceOf(this.vertex, this.#core.sources);
    if (source === undefined)
      throw new BuildError('Unimplemented', `no source for ${sourceName(this.vertex).slice(0, 200)}`);
    return source;
  }

  #request(): Parameters<Source['resolve']>[0] {
    const { op, digest } = this.vertex;
    if (op.op?.kind !== 'source') throw new BuildError('Internal', 'no source');
    return { op: op.op.value, platform: op.platform, vertex: digest, scope: this.#build.scope };
  }

  /** Whoever waits for it is told of its failure; nobody else has to be. */
  #tracked<T>(promise: Promise<T>): Promise<T> {
    this.#build.track(promise);
    return promise;
  }

  /** Tells when work of this vertex begins, and when it ends, if that is its end. */
  #telling<T>(work: () => Promise<T>, isEnd: (result: T) => boolean = () => true): Promise<T> {
    return this.#inVertex(async () => {
      this.#tell({ startedMs: this.#state.startedMs ?? Date.now() });
      const result = await work();
      if (isEnd(result)) this.#tell({ completedMs: Date.now() });
      return result;
    });
  }

  /** Tells when it fails; what it ends with says where. */
  async #inVertex<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const failure = this.#build.signal.aborted
        ? new BuildError('Cancelled', 'context canceled', { cause: error })
        : error;
      const startedMs = this.#state.startedMs ?? Date.now();
      this.#tell({ startedMs, completedMs: Date.now(), error: errorMessage(failure) });
      throw withVertex(failure, this.vertex.digest);
    }
  }

  #tell(change: Partial<VertexState>): void {
    this.#state = { ...this.#state, ...change };
    this.#build.scope.progress.vertex(this.#state);
  }
}

/** Which source a vertex is from. */
export function sourceOf(vertex: Vertex, sources: ReadonlyMap<string, Source>): Source | undefined {
  return sources.get(schemeOf(sourceName(vertex)));
}

export function schemeOf(identifier: string): string {
  return identifier.slice(0, Math.max(0, identifier.indexOf('://')));
}

function sourceName({ op }: Vertex): string {
  return op.op?.kind === 'source' ? op.op.value.identifier : '';
}

function withVertex(error: unknown, digest: string): BuildError {
  if (error instanceof BuildError && error.details.some(({ kind }) => kind === 'vertex')) return error;
  return withDetails(error, [{ kind: 'vertex', digest }]);
}

/** Of layers that somebody else holds. */
export function resultOfLayers({ trees }: Pick<SolverCore, 'trees'>, diffIds: readonly string[]): StepResult {
  return {
    identity: keyOf('layers', Buffer.alloc(0), diffIds),
    layers: () => Promise.resolve(diffIds),
    tree: () => trees.of(diffIds),
    vm: undefined,
  };
}

function keyOf(kind: string, bytes: Buffer, parts: readonly string[]): string {
  const hash = createHash('sha256');
  // JSON tells where each part ends
  hash.update(JSON.stringify([kind, bytes.toString('base64'), parts]));
  return `sha256:${hash.digest('hex')}`;
}

function isNotFound(error: unknown): error is BuildError {
  return error instanceof BuildError && error.code === 'NotFound';
}
