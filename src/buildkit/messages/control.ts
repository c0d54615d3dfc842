// The service that clients begin and watch builds by (moby.buildkit.v1.Control).

import {
  bigint64,
  bool,
  bytes,
  int32,
  int64,
  map,
  message,
  nested,
  repeated,
  string,
  type Init,
  type Value,
} from '../wire/codec';
import { bidirectional, serverStream, service, unary } from '../wire/service';
import { Empty, Status, Timestamp } from './google';
import { Definition, ProgressGroup, Range, SourceInfo } from './ops';
import { SourcePolicy } from './source-policy';
import { BuildkitVersion, WorkerRecord } from './worker';

export const BytesMessage = message({ data: bytes(1) });

/** Durations in nanoseconds, space in bytes. */
export const PruneRequest = message({
  filter: repeated(string(1)),
  all: bool(2),
  keepDuration: bigint64(3),
  reservedSpace: int64(4),
  maxUsedSpace: int64(5),
  minFreeSpace: int64(6),
});
export type PruneRequest = Value<typeof PruneRequest>;

export const DiskUsageRequest = message({ filter: repeated(string(1)), ageLimit: bigint64(2) });

export const UsageRecord = message({
  ID: string(1),
  Mutable: bool(2),
  InUse: bool(3),
  Size: int64(4),
  Parent: string(5),
  CreatedAt: nested(6, Timestamp),
  LastUsedAt: nested(7, Timestamp),
  UsageCount: int64(8),
  Description: string(9),
  RecordType: string(10),
  Shared: bool(11),
  Parents: repeated(string(12)),
});
export type UsageRecordInit = Init<typeof UsageRecord>;

export const DiskUsageResponse = message({ record: repeated(nested(1, UsageRecord)) });

export const CacheOptionsEntry = message({ Type: string(1), Attrs: map(string(2)) });
export type CacheOptionsEntry = Value<typeof CacheOptionsEntry>;

/** The deprecated ones are what clients before 0.4 send. */
const CacheOptions = message({
  ExportRefDeprecated: string(1),
  ImportRefsDeprecated: repeated(string(2)),
  ExportAttrsDeprecated: map(string(3)),
  Exports: repeated(nested(4, CacheOptionsEntry)),
  Imports: repeated(nested(5, CacheOptionsEntry)),
});

const Exporter = message({ Type: string(1), Attrs: map(string(2)) });

export const SolveRequest = message({
  Ref: string(1),
  Definition: nested(2, Definition),
  ExporterDeprecated: string(3),
  ExporterAttrsDeprecated: map(string(4)),
  Session: string(5),
  Frontend: string(6),
  FrontendAttrs: map(string(7)),
  Cache: nested(8, CacheOptions),
  Entitlements: repeated(string(9)),
  FrontendInputs: map(nested(10, Definition)),
  /** Not to be kept in the history. */
  Internal: bool(11),
  SourcePolicy: nested(12, SourcePolicy),
  Exporters: repeated(nested(13, Exporter)),
  EnableSessionExporter: bool(14),
  SourcePolicySession: string(15),
  CompatibilityVersion: int64(16),
  ProxyNetwork: bool(17),
});
export type SolveRequest = Value<typeof SolveRequest>;

export const SolveResponse = message({ ExporterResponse: map(string(1)) });

const StatusRequest = message({ Ref: string(1) });

const Vertex = message({
  digest: string(1),
  inputs: repeated(string(2)),
  name: string(3),
  cached: bool(4),
  started: nested(5, Timestamp),
  completed: nested(6, Timestamp),
  error: string(7),
  progressGroup: nested(8, ProgressGroup),
});

const VertexStatus = message({
  ID: string(1),
  vertex: string(2),
  name: string(3),
  current: int64(4),
  total: int64(5),
  timestamp: nested(6, Timestamp),
  started: nested(7, Timestamp),
  completed: nested(8, Timestamp),
});

/** `stream`: 1 for stdout, 2 for stderr. */
const VertexLog = message({
  vertex: string(1),
  timestamp: nested(2, Timestamp),
  stream: int64(3),
  msg: bytes(4),
});

const VertexWarning = message({
  vertex: string(1),
  level: int64(2),
  short: bytes(3),
  detail: repeated(bytes(4)),
  url: string(5),
  info: nested(6, SourceInfo),
  ranges: repeated(nested(7, Range)),
});

export type VertexInit = Init<typeof Vertex>;
export type VertexStatusInit = Init<typeof VertexStatus>;
export type VertexWarningInit = Init<typeof VertexWarning>;

export const StatusResponse = message({
  vertexes: repeated(nested(1, Vertex)),
  statuses: repeated(nested(2, VertexStatus)),
  logs: repeated(nested(3, VertexLog)),
  warnings: repeated(nested(4, VertexWarning)),
});
export type StatusResponse = Value<typeof StatusResponse>;
export type StatusResponseInit = Init<typeof StatusResponse>;

const ListWorkersRequest = message({ filter: repeated(string(1)) });
const ListWorkersResponse = message({ record: repeated(nested(1, WorkerRecord)) });
const InfoResponse = message({ buildkitVersion: nested(1, BuildkitVersion) });

const BuildHistoryRequest = message({
  ActiveOnly: bool(1),
  Ref: string(2),
  EarlyExit: bool(3),
  Filter: repeated(string(4)),
  Limit: int32(5),
});

const Descriptor = message({
  media_type: string(1),
  digest: string(2),
  size: int64(3),
  annotations: map(string(5)),
});
const BuildResultInfo = message({
  ResultDeprecated: nested(1, Descriptor),
  Attestations: repeated(nested(2, Descriptor)),
});

export const historyEvent = { started: 0, complete: 1, deleted: 2 } as const;

export const BuildHistoryRecord = message({
  Ref: string(1),
  Frontend: string(2),
  FrontendAttrs: map(string(3)),
  Exporters: repeated(nested(4, Exporter)),
  error: nested(5, Status),
  CreatedAt: nested(6, Timestamp),
  CompletedAt: nested(7, Timestamp),
  logs: nested(8, Descriptor),
  ExporterResponse: map(string(9)),
  Result: nested(10, BuildResultInfo),
  Results: map(nested(11, BuildResultInfo)),
  Generation: int32(12),
  trace: nested(13, Descriptor),
  pinned: bool(14),
  numCachedSteps: int32(15),
  numTotalSteps: int32(16),
  numCompletedSteps: int32(17),
  externalError: nested(18, Descriptor),
  numWarnings: int32(19),
});
export type BuildHistoryRecordInit = Init<typeof BuildHistoryRecord>;

const BuildHistoryEvent = message({ type: int32(1), record: nested(2, BuildHistoryRecord) });

const UpdateBuildHistoryRequest = message({
  Ref: string(1),
  Pinned: bool(2),
  Delete: bool(3),
  Finalize: bool(4),
});

export const Control = service('moby.buildkit.v1.Control', {
  DiskUsage: unary(DiskUsageRequest, DiskUsageResponse),
  Prune: serverStream(PruneRequest, UsageRecord),
  Solve: unary(SolveRequest, SolveResponse),
  Status: serverStream(StatusRequest, StatusResponse),
  Session: bidirectional(BytesMessage, BytesMessage),
  ListWorkers: unary(ListWorkersRequest, ListWorkersResponse),
  Info: unary(Empty, InfoResponse),
  ListenBuildHistory: serverStream(BuildHistoryRequest, BuildHistoryEvent),
  UpdateBuildHistory: unary(UpdateBuildHistoryRequest, Empty),
});
