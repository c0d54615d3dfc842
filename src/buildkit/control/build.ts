// One build, from a client's Solve to its answer, and all that run.

import { within } from '../../async/deadline';
import { unbundled } from '../attestations/bundle';
import { provenance } from '../attestations/provenance';
import { refsByPlatform } from '../attestations/result-platforms';
import { requestedAttestations, type RequestedAttestations } from '../attestations/requested';
import { scannerOf, spdxType } from '../attestations/scan';
import { BuildError } from '../contract/errors';
import { requireCacheExports } from '../contract/cache-types';
import type { CacheExporter, Exporter } from '../contract/exporter';
import type { Definition, SourcePolicy } from '../contract/llb';
import type { BuildScope, CacheSource, Entitlement, Ref, Result } from '../contract/solver';
import { BuildBridge, refsOf, type BridgeParts } from './build-bridge';
import { FrontendContainers } from './frontend-containers';
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
  readonly sourcePolicy?: SourcePolicy | undefined;
  /** Of the client's own making: not for its history. */
  readonly isInternal?: boolean;
}

export interface BuildParts extends BridgeParts {
  readonly exporters: readonly Exporter[];
  readonly cacheExporters: readonly CacheExporter[];
}

/** Exports with a configuration, in which a cache can be. */
const imageTypes = ['moby', 'image', 'docker', 'oci'];
const epochAttribute = 'source-date-epoch';

export class Build {
  readonly id: string;
  readonly progress = new ProgressLog();
  readonly bridge: BuildBridge;
  /** Of the client's own frontend. */
  readonly containers: FrontendContainers;
  /** Aborted when it is over. */
  readonly signal: AbortSignal;
  readonly #request: BuildRequest;
  readonly #parts: BuildParts;
  readonly #scope: BuildScope;
  readonly #abort = new AbortController();
  readonly #solver;
  readonly #returned: Promise<Result>;
  readonly #attestations: RequestedAttestations;
  readonly #startedMs = Date.now();
  #giveBack: (result: Result | BuildError) => void = () => undefined;

  /** Throws BuildError for caches and attestations that there are none of. */
  constructor(request: BuildRequest, parts: BuildParts) {
    this.id = request.id;
    requireCacheExports(
      request.cacheExports,
      parts.cacheExporters.map(({ type }) => type),
    );
    this.#attestations = requestedAttestations(request.options);
    this.#request = request;
    this.#parts = parts;
    this.signal = this.#abort.signal;
    this.#scope = {
      id: request.id,
      sessionIds: [request.sessionId, ...(request.otherSessionIds ?? [])].filter((id) => id !== ''),
      progress: this.progress,
      entitlements: request.entitlements,
      cacheImports: request.cacheImports,
      sourcePolicy: request.sourcePolicy,
      signal: this.signal,
    };
    this.#solver = parts.solver.open(this.#scope);
    this.bridge = new BuildBridge(parts, this.#scope, this.#solver, request.inputs);
    this.containers = new FrontendContainers(this.bridge);
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
      return await this.#export(await this.#unbundled(this.#attested(await this.#scanned(result))));
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

  /** Graphs that the client gave its build. */
  get inputs(): BuildBridge['inputs'] {
    return this.bridge.inputs;
  }

  /** Of the client's frontend. */
  ref(id: string): Ref {
    return this.bridge.ref(id);
  }

  add(ref: Ref): void {
    this.bridge.add(ref);
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

  /** With an SBOM of each platform, if it is to have one and the frontend has made none. */
  async #scanned(result: Result): Promise<Result> {
    const { sbom } = this.#attestations;
    const stated = [...(result.attestations?.values() ?? []), ...(result.bundles?.values() ?? [])].flat();
    if (sbom === undefined || stated.some(({ predicateType }) => predicateType === spdxType)) return result;
    const scan = await scannerOf(sbom, this.#request.options, this.bridge, this.signal);
    const bundles = new Map(result.bundles);
    for (const [id, ref] of refsByPlatform(result)) {
      if (ref === undefined) continue;
      const extras = this.bridge.originOf(ref)?.scanned ?? new Map<string, Definition>();
      bundles.set(id, [...(bundles.get(id) ?? []), await scan(id, { ref, extras }, this.signal)]);
    }
    return { ...result, bundles };
  }

  async #unbundled(result: Result): Promise<Result> {
    const attestations = new Map(result.attestations);
    for (const [id, bundles] of result.bundles ?? [])
      for (const bundle of bundles) {
        const found = await unbundled(bundle, this.bridge, this.signal);
        attestations.set(id, [...found, ...(attestations.get(id) ?? [])]);
      }
    return { ...result, attestations, bundles: new Map() };
  }

  /** With what is to be stated of it. */
  #attested(result: Result): Result {
    const { provenance: attributes } = this.#attestations;
    if (attributes === undefined) return result;
    const attestations = new Map(result.attestations);
    const [native] = this.bridge.platforms;
    const { OS: os = 'linux', Architecture: architecture = 'amd64' } = native ?? {};
    for (const [id, ref] of refsByPlatform(result)) {
      if (ref === undefined) continue;
      const stated = provenance(attributes, () => {
        const origin = this.bridge.originOf(ref);
        return {
          ref,
          frontend: origin?.name ?? '',
          args: origin?.options ?? new Map<string, string>(),
          buildId: this.id,
          startedMs: this.#startedMs,
          builderPlatform: `${os}/${architecture}`,
        };
      });
      attestations.set(id, [...(attestations.get(id) ?? []), stated]);
    }
    return { ...result, attestations };
  }

  /** SOURCE_DATE_EPOCH is a build argument, which exporters are told unless they are told another one. */
  #withEpoch(attributes: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
    const epoch = this.#request.options.get('build-arg:SOURCE_DATE_EPOCH');
    if (epoch === undefined || !/^\d{1,15}$/.test(epoch) || attributes.has(epochAttribute)) return attributes;
    return new Map([...attributes, [epochAttribute, epoch]]);
  }

  #warnOfInlineCache(): void {
    const { cacheExports, exporters } = this.#request;
    const isWanted = cacheExports.some(({ type }) => type === 'inline');
    if (!isWanted || exporters.some(({ type }) => imageTypes.includes(type))) return;
    const short = 'cache export type "inline" has no effect: the build makes no image';
    this.progress.warning({ vertex: '', level: 1, short, detail: [], url: '', ranges: [] });
  }

  async #export(result: Result): Promise<ReadonlyMap<string, string>> {
    // what a frontend wants its client to be told
    const answer = new Map(
      [...result.metadata]
        .filter(([key]) => key.startsWith('frontend.'))
        .map(([key, value]) => [key, value.toString()]),
    );
    for (const [index, { type, attributes }] of this.#request.exporters.entries()) {
      const exporter = this.#parts.exporters.find(({ types }) => types.includes(type));
      if (exporter === undefined) throw new BuildError('NotFound', `exporter "${type}" could not be found`);
      const { cacheExports } = this.#request;
      const request = {
        type,
        attributes: this.#withEpoch(attributes),
        index,
        result,
        scope: this.#scope,
        cacheExports,
      };
      for (const [key, value] of await exporter.export(request, this.signal)) answer.set(key, value);
    }
    this.#warnOfInlineCache();
    for (const source of this.#request.cacheExports) {
      const exporter = this.#parts.cacheExporters.find(({ type }) => type === source.type);
      if (exporter === undefined) continue; // inline: the image has it
      const request = { source, result, scope: this.#scope };
      for (const [key, value] of await exporter.export(request, this.signal)) answer.set(key, value);
    }
    return answer;
  }
}
