// What a daemon tells of itself (moby.buildkit.v1.types, moby.buildkit.v1.apicaps).

import { bigint64, bool, int64, map, message, nested, repeated, string, type Init } from '../wire/codec';
import { Platform } from './ops';

export const BuildkitVersion = message({
  package: string(1),
  version: string(2),
  revision: string(3),
  /** Of the Dockerfile frontend that is built in. */
  dockerfileVersion: string(4),
});

/** `keepDuration` in nanoseconds. */
const GCPolicy = message({
  all: bool(1),
  keepDuration: bigint64(2),
  reservedSpace: int64(3),
  filters: repeated(string(4)),
  maxUsedSpace: int64(5),
  minFreeSpace: int64(6),
});

export const WorkerRecord = message({
  ID: string(1),
  Labels: map(string(2)),
  platforms: repeated(nested(3, Platform)),
  GCPolicy: repeated(nested(4, GCPolicy)),
  BuildkitVersion: nested(5, BuildkitVersion),
});
export type WorkerRecordInit = Init<typeof WorkerRecord>;

export const APICap = message({
  ID: string(1),
  Enabled: bool(2),
  Deprecated: bool(3),
  DisabledReason: string(4),
  DisabledReasonMsg: string(5),
  DisabledAlternative: string(6),
});
