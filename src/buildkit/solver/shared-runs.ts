// Runs of operations that several builds want at once: each runs once, tells all of them, and ends when none wants it any more.

import { unlessAborted } from '../../async/deadline';
import { BuildError } from '../contract/errors';
import type { BuildScope } from '../contract/solver';

export interface RunMember {
  readonly scope: BuildScope;
  readonly log: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void;
  /** It runs now. */
  readonly started: () => void;
}

export interface RunTask<Result> {
  /** `scope`: the build whose sessions are asked. It is called again for another when that build went away and it failed. */
  run(scope: BuildScope, tell: Pick<RunMember, 'log' | 'started'>, signal: AbortSignal): Promise<Result>;
}

/** Of a step's output, for builds that come to it later. */
const maxKeptLogBytes = 256 * 1024;

export class SharedRuns<Result> {
  readonly #runs = new Map<string, SharedRun<Result>>();

  /** What the run of that key gives. Rejects with the reason of `signal` as soon as it comes, which ends a run that only this one wanted. */
  async join(key: string, member: RunMember, task: RunTask<Result>, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted();
    let run = this.#runs.get(key);
    if (run === undefined) {
      const begun = new SharedRun<Result>();
      run = begun;
      this.#runs.set(key, begun);
      begun.join(member);
      void begun.begin(task).finally(() => this.#forget(key, begun));
    } else run.join(member);
    try {
      return await unlessAborted(run.result, signal);
    } finally {
      // a run that nobody wants is none that others may join
      if (run.leave(member)) {
        this.#forget(key, run);
        await run.settled;
      }
    }
  }

  #forget(key: string, run: SharedRun<Result>): void {
    if (this.#runs.get(key) === run) this.#runs.delete(key);
  }
}

class SharedRun<Result> {
  readonly result: Promise<Result>;
  /** Whatever came of it. */
  readonly settled: Promise<void>;
  readonly #members = new Set<RunMember>();
  readonly #abort = new AbortController();
  readonly #logs: { stream: 'stdout' | 'stderr'; bytes: Uint8Array }[] = [];
  #logBytes = 0;
  #isStarted = false;
  #isOver = false;
  #resolve: (result: Result) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;

  constructor() {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.settled = this.result.then(
      () => undefined,
      () => undefined,
    );
  }

  join(member: RunMember): void {
    this.#members.add(member);
    if (this.#isStarted) member.started();
    for (const { stream, bytes } of this.#logs) member.log(stream, bytes);
  }

  /** True if it ends for want of members. */
  leave(member: RunMember): boolean {
    this.#members.delete(member);
    if (this.#isOver || this.#members.size > 0) return false;
    this.#abort.abort(new BuildError('Cancelled', 'context canceled'));
    return true;
  }

  async begin(task: RunTask<Result>): Promise<void> {
    const tell = {
      started: () => {
        this.#isStarted = true;
        for (const member of this.#members) member.started();
      },
      log: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => this.#log(stream, bytes),
    };
    try {
      this.#resolve(await this.#attempts(task, tell));
    } catch (error) {
      this.#reject(error);
    } finally {
      this.#isOver = true;
    }
  }

  async #attempts(task: RunTask<Result>, tell: Pick<RunMember, 'log' | 'started'>): Promise<Result> {
    const { signal } = this.#abort;
    for (;;) {
      signal.throwIfAborted();
      const [member] = this.#members;
      if (member === undefined) throw new BuildError('Cancelled', 'context canceled');
      try {
        return await task.run(member.scope, tell, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (this.#members.has(member)) throw error;
        // it failed for one whose client is gone, others still want it
      }
    }
  }

  #log(stream: 'stdout' | 'stderr', bytes: Uint8Array): void {
    if (this.#logBytes + bytes.length <= maxKeptLogBytes) {
      this.#logBytes += bytes.length;
      this.#logs.push({ stream, bytes: Buffer.from(bytes) });
    }
    for (const member of this.#members) member.log(stream, bytes);
  }
}
