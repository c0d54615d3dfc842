// One build, from a client's Solve to its answer, and all that run.

import { within } from '../../async/deadline';
import { BuildError } from '../contract/errors';
import type { Exporter } from '../contract/exporter';
import type { Definition } from '../contract/llb';
import type { BuildScope, CacheSource, Entitlement, Result } from '../contract/solver';
import { BuildBridge, refsOf, type BridgeParts } from './build-bridge';
import { ProgressLog } from './progress-log';

/** What a client asks for. */
export interface BuildRequest {
  /** The client's own, unique among those that run. */
  readonly id: string;
  readonly sessionId: string;
  /** Asked after that one. */
  readonly otherSessionIds?: readonly string[];
  /** `client`: it plays the frontend itself, through the bridge. */
  readonly what:
    { kind: 'client' } | { kind: 'definition'; definition: Definition } | { kind: 'frontend'; name: string };
  readonly options: ReadonlyMap<string, string>;
  readonly inputs: ReadonlyMap<string, Definition>;
  readonly exporters: readonly { type: string; attributes: ReadonlyMap<string, string> }[];
  readonly cacheImports: readonly CacheSource[];
  readonly cacheExports: readonly CacheSource[];
  readonly entitlements: ReadonlySet<Entitlement>;
  /** Of the client's own making: not for its history. */
  readonly isInternal?: boolean;
}

export interface BuildParts extends BridgeParts {
  readonly exporters: readonly Exporter[];
}

export class Build {
  readonly id: string;
  readonly progress = new ProgressLog();
  readonly bridge: BuildBridge;
  /** Aborted when it is over. */
  readonly signal: AbortSignal;
  readonly #request: BuildRequest;
  readonly #parts: BuildParts;
  readonly #scope: BuildScope;
  readonly #abort = new AbortController();
  readonly #solver;
  readonly #returned: Promise<Result>;
  #giveBack: (result: Result | BuildError) => void = () => undefined;

  constructor(request: BuildRequest, parts: BuildParts) {
    this.id = request.id;
    this.#request = request;
    this.#parts = parts;
    this.signal = this.#abort.signal;
    this.#scope = {
      id: request.id,
      sessionIds: [request.sessionId, ...(request.otherSessionIds ?? [])].filter((id) => id !== ''),
      progress: this.progress,
      entitlements: request.entitlements,
      cacheImports: request.cacheImports,
      signal: this.signal,
    };
    this.#solver = parts.solver.open(this.#scope);
    this.bridge = new BuildBridge(parts, this.#scope, this.#solver, request.inputs);
    this.#returned = new Promise((resolve, reject) => {
      this.#giveBack = (given) => (given instanceof BuildError ? reject(given) : resolve(given));
    });
    this.#returned.catch(() => undefined); // told by `run`
  }

  /** To the end: what is told to the client. Whatever happens, nothing of it is left when this settles. */
  async run(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const cancel = (): void => this.cancel();
    signal.addEventListener('abort', cancel);
    if (signal.aborted) cancel();
    try {
      const result = await within(this.#result(), Infinity, { signal: this.signal });
      await Promise.all(refsOf(result).map((ref) => ref.evaluate(this.signal)));
      return await this.#export(result);
    } finally {
      signal.removeEventListener('abort', cancel);
      this.cancel();
      try {
        await this.#solver.close();
      } finally {
        this.progress.end();
      }
    }
  }

  cancel(): void {
    this.#abort.abort(new BuildError('Cancelled', 'context canceled'));
  }

  /** What the client's own frontend made. The first one counts. Throws where the client has none. */
  giveBack(result: Result | BuildError): void {
    if (this.#request.what.kind !== 'client') {
      throw new BuildError('FailedPrecondition', 'the build has a frontend of its own');
    }
    this.#giveBack(result);
  }

  #result(): Promise<Result> {
    const { what, options, inputs } = this.#request;
    switch (what.kind) {
      case 'client':
        return this.#returned;
      case 'definition':
        return this.bridge.solve({ what }, this.signal);
      case 'frontend': {
        const asked = { kind: 'frontend' as const, name: what.name, request: { options, inputs } };
        return this.bridge.solve({ what: asked }, this.signal);
      }
    }
  }

  async #export(result: Result): Promise<ReadonlyMap<string, string>> {
    const answer = new Map<string, string>();
    for (const [index, { type, attributes }] of this.#request.exporters.entries()) {
      const exporter = this.#parts.exporters.find(({ types }) => types.includes(type));
      if (exporter === undefined) throw new BuildError('NotFound', `exporter "${type}" could not be found`);
      const { cacheExports } = this.#request;
      const request = { type, attributes, index, result, scope: this.#scope, cacheExports };
      for (const [key, value] of await exporter.export(request, this.signal)) answer.set(key, value);
    }
    return answer;
  }
}
