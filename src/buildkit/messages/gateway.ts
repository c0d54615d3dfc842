// The service that frontends work by, in a client or in a container (moby.buildkit.v1.frontend.LLBBridge).

import {
  bool,
  bytes,
  int32,
  int64,
  map,
  message,
  nested,
  oneof,
  repeated,
  string,
  uint32,
  type Init,
  type Value,
} from '../wire/codec';
import { bidirectional, service, unary } from '../wire/service';
import { CacheOptionsEntry } from './control';
import { Stat } from './files';
import { Empty, Status, Timestamp } from './google';
import { Definition, HostIP, Meta, Mount, Platform, Range, SecretEnv, SourceInfo, SourceOp } from './ops';
import { SourcePolicy } from './source-policy';
import { APICap, WorkerRecord } from './worker';

/** What a graph gave: our id, and the graph itself. */
const Ref = message({ id: string(1), def: nested(2, Definition) });
const RefMap = message({ refs: map(nested(1, Ref)) });
const RefMapDeprecated = message({ refs: map(string(1)) });

export const attestationKind = { inToto: 0, bundle: 1 } as const;
export const inTotoSubjectKind = { self: 0, raw: 1 } as const;
const InTotoSubject = message({ kind: int32(1), digest: repeated(string(2)), name: string(3) });
const Attestation = message({
  kind: int32(1),
  metadata: map(bytes(2)),
  ref: nested(3, Ref),
  path: string(4),
  inTotoPredicateType: string(5),
  inTotoSubjects: repeated(nested(6, InTotoSubject)),
});
export type AttestationMessage = Value<typeof Attestation>;
const Attestations = message({ attestation: repeated(nested(1, Attestation)) });
export type AttestationsInit = Init<typeof Attestations>;

export const Result = message({
  result: oneof({
    refDeprecated: string(1),
    refsDeprecated: nested(2, RefMapDeprecated),
    ref: nested(3, Ref),
    refs: nested(4, RefMap),
  }),
  metadata: map(bytes(10)),
  attestations: map(nested(12, Attestations)),
});
export type Result = Value<typeof Result>;
export type ResultInit = Init<typeof Result>;

export const ReturnRequest = message({ result: nested(1, Result), error: nested(2, Status) });
export type ReturnRequest = Value<typeof ReturnRequest>;

const InputsResponse = message({ Definitions: map(nested(1, Definition)) });

const ResolveImageConfigRequest = message({
  Ref: string(1),
  Platform: nested(2, Platform),
  ResolveMode: string(3),
  LogName: string(4),
  /** 1: an OCI layout of the client's. */
  ResolverType: int32(5),
  SessionID: string(6),
  StoreID: string(7),
  SourcePolicies: repeated(nested(8, SourcePolicy)),
});
const ResolveImageConfigResponse = message({ Digest: string(1), Config: bytes(2), Ref: string(3) });

const ResolveSourceImageRequest = message({
  NoConfig: bool(1),
  AttestationChain: bool(2),
  ResolveAttestations: repeated(string(3)),
});
const ResolveSourceMetaRequest = message({
  Source: nested(1, SourceOp),
  Platform: nested(2, Platform),
  LogName: string(3),
  ResolveMode: string(4),
  Git: nested(5, message({ ReturnObject: bool(1) })),
  Image: nested(6, ResolveSourceImageRequest),
  SourcePolicies: repeated(nested(8, SourcePolicy)),
});
const ResolveSourceImageResponse = message({ Digest: string(1), Config: bytes(2) });
const ResolveSourceGitResponse = message({ Checksum: string(1), Ref: string(2), CommitChecksum: string(3) });
const ResolveSourceHTTPResponse = message({
  Checksum: string(1),
  Filename: string(2),
  LastModified: nested(3, Timestamp),
});
const ResolveSourceMetaResponse = message({
  Source: nested(1, SourceOp),
  Image: nested(2, ResolveSourceImageResponse),
  Git: nested(3, ResolveSourceGitResponse),
  HTTP: nested(4, ResolveSourceHTTPResponse),
});

export const BridgeSolveRequest = message({
  Definition: nested(1, Definition),
  Frontend: string(2),
  FrontendOpt: map(string(3)),
  allowResultReturn: bool(5),
  allowResultArrayRef: bool(6),
  Final: bool(10),
  ExporterAttr: bytes(11),
  CacheImports: repeated(nested(12, CacheOptionsEntry)),
  FrontendInputs: map(nested(13, Definition)),
  Evaluate: bool(14),
  SourcePolicies: repeated(nested(15, SourcePolicy)),
});
export type BridgeSolveRequest = Value<typeof BridgeSolveRequest>;
/** `ref` is for clients that don't set `allowResultReturn`. */
const SolveResponse = message({ ref: string(1), result: nested(3, Result) });

const ReadFileRequest = message({
  Ref: string(1),
  FilePath: string(2),
  Range: nested(3, message({ Offset: int64(1), Length: int64(2) })),
  MountIndex: int32(4),
});
const ReadFileResponse = message({ Data: bytes(1) });
const ReadDirRequest = message({
  Ref: string(1),
  DirPath: string(2),
  IncludePattern: string(3),
  MountIndex: int32(4),
});
const ReadDirResponse = message({ entries: repeated(nested(1, Stat)) });
const StatFileRequest = message({ Ref: string(1), Path: string(2), MountIndex: int32(3) });
const StatFileResponse = message({ stat: nested(1, Stat) });
const EvaluateRequest = message({ Ref: string(1) });

const PongResponse = message({
  FrontendAPICaps: repeated(nested(1, APICap)),
  LLBCaps: repeated(nested(2, APICap)),
  Workers: repeated(nested(3, WorkerRecord)),
});

const WarnRequest = message({
  digest: string(1),
  level: int64(2),
  short: bytes(3),
  detail: repeated(bytes(4)),
  url: string(5),
  info: nested(6, SourceInfo),
  ranges: repeated(nested(7, Range)),
});

export const NewContainerRequest = message({
  ContainerID: string(1),
  Mounts: repeated(nested(2, Mount)),
  Network: int32(3),
  platform: nested(4, Platform),
  constraints: nested(5, message({ filter: repeated(string(1)) })),
  extraHosts: repeated(nested(6, HostIP)),
  hostname: string(7),
});
export type NewContainerRequest = Value<typeof NewContainerRequest>;
const ReleaseContainerRequest = message({ ContainerID: string(1) });

const InitMessage = message({
  ContainerID: string(1),
  Meta: nested(2, Meta),
  Fds: repeated(uint32(3)),
  Tty: bool(4),
  Security: int32(5),
  secretenv: repeated(nested(6, SecretEnv)),
});
export type InitMessage = Value<typeof InitMessage>;
export const ExecMessage = message({
  ProcessID: string(1),
  Input: oneof({
    Init: nested(2, InitMessage),
    File: nested(3, message({ Fd: uint32(1), EOF: bool(2), Data: bytes(3) })),
    Resize: nested(4, message({ Rows: uint32(1), Cols: uint32(2) })),
    Started: nested(5, Empty),
    Exit: nested(6, message({ Code: uint32(1), Error: nested(2, Status) })),
    Done: nested(7, Empty),
    Signal: nested(8, message({ Name: string(1) })),
  }),
});

export type ExecMessage = Value<typeof ExecMessage>;
export type ExecMessageInit = Init<typeof ExecMessage>;

export const LLBBridge = service('moby.buildkit.v1.frontend.LLBBridge', {
  ResolveImageConfig: unary(ResolveImageConfigRequest, ResolveImageConfigResponse),
  ResolveSourceMeta: unary(ResolveSourceMetaRequest, ResolveSourceMetaResponse),
  Solve: unary(BridgeSolveRequest, SolveResponse),
  ReadFile: unary(ReadFileRequest, ReadFileResponse),
  ReadDir: unary(ReadDirRequest, ReadDirResponse),
  StatFile: unary(StatFileRequest, StatFileResponse),
  Evaluate: unary(EvaluateRequest, Empty),
  Ping: unary(Empty, PongResponse),
  Return: unary(ReturnRequest, Empty),
  Inputs: unary(Empty, InputsResponse),
  NewContainer: unary(NewContainerRequest, Empty),
  ReleaseContainer: unary(ReleaseContainerRequest, Empty),
  ExecProcess: bidirectional(ExecMessage, ExecMessage),
  ReadFileContainer: unary(ReadFileRequest, ReadFileResponse),
  ReadDirContainer: unary(ReadDirRequest, ReadDirResponse),
  StatFileContainer: unary(StatFileRequest, StatFileResponse),
  Warn: unary(WarnRequest, Empty),
});
