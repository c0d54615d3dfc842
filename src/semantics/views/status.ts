// A container's state in words, as `docker ps` shows it.

import type { ContainerStatus, Health } from '../../docker/types';
import type { ContainerState } from '../containers/container-state';
import { humanDuration } from '../../go/duration-format';
import { neverTimestamp } from '../../go/timestamp';

/** `State` of list and `State.Status` of inspect. */
export function containerStatus(state: ContainerState): ContainerStatus {
  // Docker has no way back to `created`: what once ran and failed to start again stays `exited`.
  return state.kind;
}

/** `Up 5 minutes (healthy)`, `Exited (0) 3 seconds ago`, … at `nowMs`. */
export function statusText(state: ContainerState, health: Health | undefined, nowMs: number): string {
  const since = (timestamp: string): string => humanDuration(nowMs - Date.parse(timestamp));
  switch (state.kind) {
    case 'running': {
      const up = `Up ${since(state.startedAt)}`;
      return health === undefined ? up : `${up} (${healthText(health)})`;
    }
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
    case 'exited':
      return state.finishedAt === neverTimestamp
        ? ''
        : `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}

function healthText(health: Health): string {
  return health.Status === 'starting' ? 'health: starting' : health.Status;
}
