// Docker's refusals of what needs a container that runs, or one that doesn't.

import { DaemonError } from '../../errors';
import type { KnownContainer } from './known-containers';
import { isActive, type RunFacts } from './container-state';

/** The container's run, or Docker's refusal. */
export function requireActive(container: KnownContainer): RunFacts {
  const { state } = container;
  if (isActive(state)) return state;
  throw notRunning(container);
}

export function notRunning(container: KnownContainer): DaemonError {
  return new DaemonError('Conflict', `Container ${container.id} is not running`);
}

/** Throws Docker's refusals; NotModified when it runs already. */
export function requireStartable(container: KnownContainer): void {
  switch (container.state.kind) {
    case 'paused':
      throw new DaemonError('Conflict', 'cannot start a paused container, try unpause instead');
    case 'running':
    case 'restarting':
      throw new DaemonError('NotModified', `Container ${container.id} is already running`);
    case 'removing':
    case 'dead':
      throw new DaemonError('Conflict', 'container is marked for removal and cannot be started');
    case 'created':
    case 'exited':
      return;
  }
}

/** Docker's refusals of an exec by the container's state. `ref` is what the client called it. */
export function requireExecutable(container: KnownContainer, ref: string): void {
  const { kind } = container.state;
  if (kind === 'paused') {
    throw new DaemonError('Conflict', `Container ${ref} is paused, unpause the container before exec`);
  }
  if (kind === 'restarting') {
    throw new DaemonError(
      'Conflict',
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  }
  if (!isActive(container.state)) throw notRunning(container);
}

/** Throws Conflict for one that is being removed. */
export function requireLogsReadable({ state }: KnownContainer): void {
  if (state.kind === 'removing' || state.kind === 'dead') {
    throw new DaemonError('Conflict', 'can not get logs from container which is dead or marked for removal');
  }
}
