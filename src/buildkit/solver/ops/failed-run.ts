// A run of an operation that failed, with what it had and what it left: clients may look into that with containers.

import { BuildError } from '../../contract/errors';
import type { FailedAt } from '../../contract/solver';
import type { StepResult } from './operation';

/** What there was when it failed, by the operation's mounts or actions. */
export interface Left {
  readonly inputs: readonly (StepResult | undefined)[];
  /** Diff IDs. */
  readonly mounts: readonly (readonly string[] | undefined)[];
  readonly at?: FailedAt;
}

/** Layers of `left` are held by whoever throws it no longer than until it is caught. */
export class FailedRun extends BuildError {
  readonly left: Left;

  constructor(error: BuildError, left: Left) {
    super(error.code, error.message, { cause: error, details: error.details });
    this.left = left;
  }
}

/** Of an error, or of what it came from. */
export function leftOf(error: unknown): Left | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    if (at instanceof FailedRun) return at.left;
  return undefined;
}
