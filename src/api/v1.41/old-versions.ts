// What clients of older versions get, as dockerd 20.10 gives it to them: a name for each rule, and the version of the API that brought
// what all newer ones have. Answers of another shape are in old-shapes.ts; what becomes of members of requests is in version-rules.ts.

import type { IncomingMessage } from 'node:http';
import { isAtLeast } from './api-version';

/** Minor number of the first version in which it is so. */
const firstMinor = {
  /** Commit pauses the container where the query says nothing of it. */
  commitPauses: 13,
  /** Build looks at `pull`. */
  buildPulls: 16,
  /** Inspect has `Mounts`; before, `Volumes` and `VolumesRW`, and limits in `Config` too. */
  inspectHasMounts: 20,
  /** Kill refuses a container that does not run. */
  killRefusesStopped: 20,
  /** Inspect has `NetworkSettings.Networks`, and `size`. */
  inspectHasNetworks: 21,
  /** Stats have `networks`, an entry for each interface; before, their sum as `network`. */
  statsByInterface: 21,
  /** ExecStart insists on the body's type. */
  execStartIsJson: 22,
  /** Errors are JSON; before, plain text. */
  jsonErrors: 24,
  /** Start has no HostConfig. */
  startTakesNoHostConfig: 24,
  /** `/containers/{id}/copy` is gone. */
  copyIsGone: 24,
  /** `SecurityOptions` of info are pairs of keys and values, and `ExecutionDriver` is gone. */
  securityOptionsInPairs: 25,
  /** A list of networks does not tell who is connected. */
  networkListIsBrief: 28,
  /** Wait has conditions, and answers its header at once. */
  waitAnswersAtOnce: 30,
  /** Pull, import and build look at `platform`. */
  imagesHavePlatforms: 32,
  /** Wait for a removal tells when that failed; before, it answered nothing. */
  waitTellsFailedRemoval: 34,
  /** Create looks at `platform`. */
  createHasPlatform: 41,
  /** Stats look at `one-shot`. */
  statsOnce: 41,
  /** A list of images looks at the filter `reference` only; before, also at `filter`. */
  referenceIsFilter: 41,
} as const;

export type VersionRule = keyof typeof firstMinor;

/** True if it is so in the version that the request asks for. */
export function holds(rule: VersionRule, request: IncomingMessage): boolean {
  return isAtLeast(request, firstMinor[rule]);
}
