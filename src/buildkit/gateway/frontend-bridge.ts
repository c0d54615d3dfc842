// What an image's frontend has of its build: refs that it was told of, and none of anybody else's.

import { BuildError } from '../contract/errors';
import type { Bridge, SolveRequest } from '../contract/frontend';
import type { Definition } from '../contract/llb';
import type { Ref, Result } from '../contract/solver';
import { allRefsOf } from '../control/build-bridge';
import type { BridgeCaller } from '../control/bridge-service';
import { FrontendContainers } from '../control/frontend-containers';

/** As of a whole build. */
const maxRefs = 10_000;

export class FrontendBridge implements BridgeCaller {
  readonly bridge: Bridge;
  readonly inputs: ReadonlyMap<string, Definition>;
  readonly containers: FrontendContainers;
  readonly signal: AbortSignal;
  readonly #refs = new Map<string, Ref>();
  #given: Result | BuildError | undefined;

  constructor(bridge: Bridge, inputs: ReadonlyMap<string, Definition>, signal: AbortSignal) {
    this.bridge = {
      capabilities: bridge.capabilities,
      platforms: bridge.platforms,
      sessionId: bridge.sessionId,
      solve: (request, until) => this.#solve(bridge, request, until),
      resolveImageConfig: (...asked) => bridge.resolveImageConfig(...asked),
      resolveSource: (...asked) => bridge.resolveSource(...asked),
      readFile: (...asked) => bridge.readFile(...asked),
      readDir: (...asked) => bridge.readDir(...asked),
      statFile: (...asked) => bridge.statFile(...asked),
      runContainer: (...asked) => bridge.runContainer(...asked),
      warn: (warning) => bridge.warn(warning),
    };
    this.inputs = inputs;
    this.containers = new FrontendContainers(bridge);
    this.signal = signal;
  }

  /** What it made or failed with; undefined: nothing yet. */
  get given(): Result | BuildError | undefined {
    return this.#given;
  }

  ref(id: string): Ref {
    const ref = this.#refs.get(id);
    if (ref === undefined) throw new BuildError('NotFound', `no such ref: ${id.slice(0, 100)}`);
    return ref;
  }

  /** As many as its solves may have made. */
  add(ref: Ref): void {
    if (this.#refs.size >= maxRefs)
      throw new BuildError('ResourceExhausted', 'the frontend has too many results');
    this.#refs.set(ref.id, ref);
  }

  giveBack(given: Result | BuildError): void {
    if (this.#given !== undefined)
      throw new BuildError('FailedPrecondition', 'gateway result is already set');
    this.#given = given;
  }

  /** The build bounds how many there are. */
  async #solve(bridge: Bridge, request: SolveRequest, signal: AbortSignal): Promise<Result> {
    const result = await bridge.solve(request, signal);
    for (const ref of allRefsOf(result)) this.#refs.set(ref.id, ref);
    return result;
  }
}
