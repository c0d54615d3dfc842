// What is known of a container's health.

import type { Health } from '../../docker/types';

/** The healths of containers that have a check. */
export interface HealthSource {
  /** Undefined: no health check. */
  health(containerId: string): Health | undefined;
}
