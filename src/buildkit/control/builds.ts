// The builds that run, and those that ended a while ago, by the ids that clients gave them.

import { DeadlineExceeded, within } from '../../async/deadline';
import { BuildError } from '../contract/errors';
import type { BuildHistory } from '../history/history';
import type { ServerCall } from '../wire/server';
import { Build, type BuildParts, type BuildRequest } from './build';
import { GrpcError, statusCodes } from '../wire/status';
import { statusOfError } from './status';

/** How long a call waits for its build: connections are not in order. */
const arrivalMs = 15_000;
/** How long after its end a build can be asked about, and how many of them. */
const keptMs = 60_000;
const maxKept = 100;
const maxRunning = 200;
const maxIdLength = 256;

/** A call that came before its build. */
interface Arrival {
  readonly arrived: (build: Build) => void;
  readonly refused: (error: unknown) => void;
}

export class Builds {
  readonly #parts: BuildParts;
  readonly #history: BuildHistory | undefined;
  readonly #running = new Map<string, Build>();
  readonly #ended = new Map<string, { build: Build; timer: NodeJS.Timeout }>();
  readonly #arrivals = new Map<string, Set<Arrival>>();
  /** Why there never was such a build. */
  readonly #refused = new Map<string, unknown>();

  constructor(parts: BuildParts, history?: BuildHistory) {
    this.#parts = parts;
    this.#history = history;
  }

  /** Runs it to its end. Rejects with why it failed. */
  async run(request: BuildRequest, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { id } = request;
    if (id === '' || id.length > maxIdLength) throw new BuildError('InvalidArgument', 'invalid build ref');
    if (this.#running.has(id)) throw new BuildError('FailedPrecondition', `job ID exists: ${id}`);
    if (this.#running.size >= maxRunning) throw new BuildError('ResourceExhausted', 'too many builds');
    const build = this.#open(request);
    this.#forget(id);
    this.#running.set(id, build);
    for (const { arrived } of this.#arrivals.get(id) ?? []) arrived(build);
    if (request.isInternal !== true) this.#begin(build, request);
    try {
      const answer = await build.run(signal);
      await this.#complete(build, answer, undefined);
      return answer;
    } catch (error) {
      await this.#complete(build, new Map(), error);
      throw error;
    } finally {
      this.#running.delete(id);
      this.#keep(build);
    }
  }

  /** What calls beside its own are not to wait for where it may not be. */
  #open(request: BuildRequest): Build {
    const { id } = request;
    try {
      return new Build(request, this.#parts);
    } catch (error) {
      for (const { refused } of this.#arrivals.get(id) ?? []) refused(error);
      if (this.#refused.size < maxKept) {
        this.#refused.set(id, error);
        setTimeout(() => this.#refused.delete(id), arrivalMs).unref();
      }
      throw error;
    }
  }

  #begin({ progress }: Build, { id, what, options, exporters }: BuildRequest): void {
    const frontend = what.kind === 'frontend' ? what.name : '';
    const [counts, soFar] = [() => progress.counts(), () => progress.soFar()];
    this.#history?.begin({ ref: id, frontend, options, exporters, counts, soFar });
  }

  #complete(build: Build, answer: ReadonlyMap<string, string>, error: unknown): Promise<void> | undefined {
    return this.#history?.complete(build.id, {
      answer,
      error: error === undefined ? undefined : statusOfError(error),
      counts: build.progress.counts(),
      told: build.progress.subscribe(new AbortController().signal),
    });
  }

  /** Whose frontend calls: its metadata say so. */
  callerOf({ metadata, signal }: ServerCall): Promise<Build> {
    const [id = ''] = metadata.get('buildkit-controlapi-buildid') ?? [];
    if (id === '') throw new BuildError('FailedPrecondition', 'no buildid found in context');
    return this.running(id, signal);
  }

  /** One that runs or will soon. */
  running(id: string, signal: AbortSignal): Promise<Build> {
    return this.#waitFor(id, this.#running.get(id), signal);
  }

  /** Also one that has ended. */
  any(id: string, signal: AbortSignal): Promise<Build> {
    return this.#waitFor(id, this.#running.get(id) ?? this.#ended.get(id)?.build, signal);
  }

  /** Whether it runs, or has ended a while ago. */
  isKnown(id: string): boolean {
    return this.#running.has(id) || this.#ended.has(id);
  }

  /** Does nothing if it doesn't run. */
  cancel(id: string): void {
    this.#running.get(id)?.cancel();
  }

  cancelAll(): void {
    for (const build of this.#running.values()) build.cancel();
    for (const id of [...this.#ended.keys()]) this.#forget(id);
  }

  async #waitFor(id: string, build: Build | undefined, signal: AbortSignal): Promise<Build> {
    if (build !== undefined) return build;
    if (id === '' || id.length > maxIdLength) throw noSuchBuild(id);
    if (this.#refused.has(id)) throw this.#refused.get(id);
    const waiting = this.#arrivals.get(id) ?? new Set<Arrival>();
    this.#arrivals.set(id, waiting);
    let expected: Arrival | undefined;
    const arrival = new Promise<Build>((arrived, refused) => (expected = { arrived, refused }));
    if (expected !== undefined) waiting.add(expected);
    try {
      return await within(arrival, arrivalMs, { signal });
    } catch (error) {
      if (error instanceof DeadlineExceeded) throw noSuchBuild(id);
      throw error;
    } finally {
      if (expected !== undefined) waiting.delete(expected);
      if (waiting.size === 0) this.#arrivals.delete(id);
    }
  }

  #keep(build: Build): void {
    const timer = setTimeout(() => this.#forget(build.id), keptMs);
    timer.unref();
    this.#ended.set(build.id, { build, timer });
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > maxKept && oldest !== undefined) this.#forget(oldest);
  }

  #forget(id: string): void {
    clearTimeout(this.#ended.get(id)?.timer);
    this.#ended.delete(id);
  }
}

/** Clients look at the code. */
function noSuchBuild(id: string): GrpcError {
  return new GrpcError(statusCodes.notFound, `no such job ${id.slice(0, maxIdLength)}`);
}
