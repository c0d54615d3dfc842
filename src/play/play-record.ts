// What is kept of a played workload, so that the next daemon goes on with it.

import type { WorkloadStatus } from '../api/v1/types';
import type { BackOffState } from './back-off';
import type { PodHistory } from './pod-history';
import type { PodOutcome } from './pod-runner';

export const playCollection = 'plays';

export interface PlayRecord {
  /** `Kind/name`. */
  id: string;
  /** The file it came from, whole: its ConfigMaps and Secrets are in it. */
  text: string;
  state: WorkloadStatus['state'];
  reason: string;
  /** Of Pods that have ended. */
  outcomes: Record<string, PodOutcome>;
  /** Of a Job's Pods. */
  failures: number;
  /** Of a Job: when it was first to run, in milliseconds since 1970. */
  beganMs?: number;
  /** By Pod. */
  histories?: Record<string, PodHistory>;
  /** Before a failed Pod of a Job is tried again, by Pod. */
  retries?: Record<string, BackOffState>;
}
