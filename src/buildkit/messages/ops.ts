// LLB: the graph that a build is (BuildKit's interface `pb`, solver/pb/ops.proto). Names and numbers are the interface's.

import {
  bigint64,
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

export const Platform = message({
  Architecture: string(1),
  OS: string(2),
  Variant: string(3),
  OSVersion: string(4),
  OSFeatures: repeated(string(5)),
});
export type Platform = Value<typeof Platform>;

/** An edge: output `index` of the operation whose bytes have this digest. */
export const Input = message({ digest: string(1), index: int64(2) });
export type Input = Value<typeof Input>;

export const networkMode = { sandbox: 0, host: 1, none: 2 } as const;
export const securityMode = { sandbox: 0, insecure: 1 } as const;
export const mountType = { bind: 0, secret: 1, ssh: 2, cache: 3, tmpfs: 4 } as const;
export const contentCache = { default: 0, on: 1, off: 2 } as const;
export const cacheSharing = { shared: 0, private: 1, locked: 2 } as const;

const ProxyEnv = message({
  http_proxy: string(1),
  https_proxy: string(2),
  ftp_proxy: string(3),
  no_proxy: string(4),
  all_proxy: string(5),
});
export const HostIP = message({ Host: string(1), IP: string(2) });
const Ulimit = message({ Name: string(1), Soft: int64(2), Hard: int64(3) });

/** What runs. */
export const Meta = message({
  args: repeated(string(1)),
  env: repeated(string(2)),
  cwd: string(3),
  user: string(4),
  proxy_env: nested(5, ProxyEnv),
  extraHosts: repeated(nested(6, HostIP)),
  hostname: string(7),
  ulimit: repeated(nested(9, Ulimit)),
  cgroupParent: string(10),
  removeMountStubsRecursive: bool(11),
  validExitCodes: repeated(int32(12)),
});
export type Meta = Value<typeof Meta>;

export const SecretEnv = message({ ID: string(1), name: string(2), optional: bool(3) });
export type SecretEnv = Value<typeof SecretEnv>;

const TmpfsOpt = message({ size: int64(1) });
/** `sharing`: cacheSharing. */
const CacheOpt = message({ ID: string(1), sharing: int32(2) });
/** Of secrets and of SSH agents. */
const SecretOpt = message({
  ID: string(1),
  uid: uint32(2),
  gid: uint32(3),
  mode: uint32(4),
  optional: bool(5),
});

/** `input` and `output` are -1 where there is none; of inputs that is a scratch mount. */
export const Mount = message({
  input: int64(1),
  selector: string(2),
  dest: string(3),
  output: int64(4),
  readonly: bool(5),
  mountType: int32(6),
  TmpfsOpt: nested(19, TmpfsOpt),
  cacheOpt: nested(20, CacheOpt),
  secretOpt: nested(21, SecretOpt),
  SSHOpt: nested(22, SecretOpt),
  resultID: string(23),
  contentCache: int32(24),
});
export type Mount = Value<typeof Mount>;

const CDIDevice = message({ name: string(1), optional: bool(2) });

/** `network`: networkMode; `security`: securityMode. The mount at `/` is the root. */
export const ExecOp = message({
  meta: nested(1, Meta),
  mounts: repeated(nested(2, Mount)),
  network: int32(3),
  security: int32(4),
  secretenv: repeated(nested(5, SecretEnv)),
  cdiDevices: repeated(nested(6, CDIDevice)),
});
export type ExecOp = Value<typeof ExecOp>;

/** `identifier` is a URL: docker-image://, local://, git://, https://, oci-layout://. */
export const SourceOp = message({ identifier: string(1), attrs: map(string(2)) });
export type SourceOp = Value<typeof SourceOp>;

const NamedUserOpt = message({ name: string(1), input: int64(2) });
/** A name is looked up in the files of the named input. */
const UserOpt = message({ user: oneof({ byName: nested(1, NamedUserOpt), byID: uint32(2) }) });
export const ChownOpt = message({ user: nested(1, UserOpt), group: nested(2, UserOpt) });
export type ChownOpt = Value<typeof ChownOpt>;

/** `mode` and `timestamp` (nanoseconds) are -1 where the source's count. */
export const FileActionCopy = message({
  src: string(1),
  dest: string(2),
  owner: nested(3, ChownOpt),
  mode: int32(4),
  followSymlink: bool(5),
  dirCopyContents: bool(6),
  attemptUnpackDockerCompatibility: bool(7),
  createDestPath: bool(8),
  allowWildcard: bool(9),
  allowEmptyWildcard: bool(10),
  timestamp: bigint64(11),
  include_patterns: repeated(string(12)),
  exclude_patterns: repeated(string(13)),
  alwaysReplaceExistingDestPaths: bool(14),
  modeStr: string(15),
  required_paths: repeated(string(16)),
});
export type FileActionCopy = Value<typeof FileActionCopy>;

export const FileActionMkFile = message({
  path: string(1),
  mode: int32(2),
  data: bytes(3),
  owner: nested(4, ChownOpt),
  timestamp: bigint64(5),
});
export type FileActionMkFile = Value<typeof FileActionMkFile>;

export const FileActionMkDir = message({
  path: string(1),
  mode: int32(2),
  makeParents: bool(3),
  owner: nested(4, ChownOpt),
  timestamp: bigint64(5),
});
export type FileActionMkDir = Value<typeof FileActionMkDir>;

export const FileActionRm = message({ path: string(1), allowNotFound: bool(2), allowWildcard: bool(3) });
export type FileActionRm = Value<typeof FileActionRm>;

export const FileActionSymlink = message({
  oldpath: string(1),
  newpath: string(2),
  owner: nested(3, ChownOpt),
  timestamp: bigint64(4),
});
export type FileActionSymlink = Value<typeof FileActionSymlink>;

/** `input` and `secondaryInput` count the operation's inputs first, then the actions before. */
export const FileAction = message({
  input: int64(1),
  secondaryInput: int64(2),
  output: int64(3),
  action: oneof({
    copy: nested(4, FileActionCopy),
    mkfile: nested(5, FileActionMkFile),
    mkdir: nested(6, FileActionMkDir),
    rm: nested(7, FileActionRm),
    symlink: nested(8, FileActionSymlink),
  }),
});
export type FileAction = Value<typeof FileAction>;

export const FileOp = message({ actions: repeated(nested(2, FileAction)) });
export type FileOp = Value<typeof FileOp>;

const InputIndex = message({ input: int64(1) });

/** `def` is a Definition, in bytes so that no message holds itself. */
export const BuildOp = message({
  builder: int64(1),
  inputs: map(nested(2, InputIndex)),
  def: bytes(3),
  attrs: map(string(4)),
});
export type BuildOp = Value<typeof BuildOp>;

export const MergeOp = message({ inputs: repeated(nested(1, InputIndex)) });
export type MergeOp = Value<typeof MergeOp>;

export const DiffOp = message({ lower: nested(1, InputIndex), upper: nested(2, InputIndex) });
export type DiffOp = Value<typeof DiffOp>;

export const PassthroughOp = message({ id: string(1), outputs: repeated(int64(2)) });

const WorkerConstraints = message({ filter: repeated(string(1)) });

/** A vertex. Fields we don't know are kept, so that what is encoded again (for keys) still differs by them. */
export const Op = message(
  {
    inputs: repeated(nested(1, Input)),
    op: oneof({
      exec: nested(2, ExecOp),
      source: nested(3, SourceOp),
      file: nested(4, FileOp),
      build: nested(5, BuildOp),
      merge: nested(6, MergeOp),
      diff: nested(7, DiffOp),
      passthrough: nested(8, PassthroughOp),
    }),
    platform: nested(10, Platform),
    constraints: nested(11, WorkerConstraints),
  },
  { keepUnknown: true },
);
export type Op = Value<typeof Op>;
export type OpInit = Init<typeof Op>;

export const ProgressGroup = message({ id: string(1), name: string(2), weak: bool(3) });
export type ProgressGroup = Value<typeof ProgressGroup>;

/** Limits of a step that are no part of its key. */
export const LinuxResources = message({
  memory: int64(1),
  memorySwap: int64(2),
  cpuShares: int64(3),
  cpuPeriod: int64(4),
  cpuQuota: int64(5),
  cpusetCpus: string(6),
  cpusetMems: string(7),
});
export type LinuxResources = Value<typeof LinuxResources>;

const ExportCache = message({ Value: bool(1) });

/** What is told about a vertex without being part of it. */
export const OpMetadata = message({
  ignore_cache: bool(1),
  description: map(string(2)),
  export_cache: nested(4, ExportCache),
  caps: map(bool(5)),
  progress_group: nested(6, ProgressGroup),
  linux_resources: nested(7, LinuxResources),
});
export type OpMetadata = Value<typeof OpMetadata>;

export const Position = message({ line: int32(1), character: int32(2) });
export const Range = message({ start: nested(1, Position), end: nested(2, Position) });
export type Range = Value<typeof Range>;

/** A text that vertexes come from. `definition` is a Definition, in bytes so that no message holds itself. */
export const SourceInfo = message({
  filename: string(1),
  data: bytes(2),
  definition: bytes(3),
  language: string(4),
});
export type SourceInfo = Value<typeof SourceInfo>;

const Location = message({ sourceIndex: int32(1), ranges: repeated(nested(2, Range)) });
const Locations = message({ locations: repeated(nested(1, Location)) });
export const Source = message({
  locations: map(nested(1, Locations)),
  infos: repeated(nested(2, SourceInfo)),
});

/**
 * A graph. `def` has encoded `Op`s, each after those it uses; the last has one input, the edge that is the result. A vertex's
 * digest is the sha256 of its bytes as they came: never encode one again to hand it on. `metadata` is by digest.
 */
export const Definition = message({
  def: repeated(bytes(1)),
  metadata: map(nested(2, OpMetadata)),
  Source: nested(3, Source),
});
export type Definition = Value<typeof Definition>;
