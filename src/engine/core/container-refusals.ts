// Docker's refusals of what needs a container that runs.

import { DaemonError } from '../../errors';
import type { Container } from './container-registry';
import { isActive, type RunFacts } from './container-state';

/** The container's run, or Docker's refusal. */
export function requireActive(container: Container): RunFacts {
  const { state } = container;
  if (isActive(state)) return state;
  throw notRunning(container);
}

export function notRunning(container: Container): DaemonError {
  return new DaemonError('Conflict', `Container ${container.id} is not running`);
}
