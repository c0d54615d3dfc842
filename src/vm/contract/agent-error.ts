// The error a guest's agent answers with. The engine decides what it means in Docker's words.

import type { AgentFailure } from './protocol';

/** A request that the agent refused or failed to carry out. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly failure: AgentFailure;

  constructor(failure: AgentFailure) {
    super(`${failure.message}: ${failure.code}`);
    this.failure = failure;
  }
}
