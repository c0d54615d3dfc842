// LLB as the parts of a build see it: the decoded messages, the graph they make, and the names of attributes in them.

export type {
  BuildOp,
  ChownOpt,
  Definition,
  DiffOp,
  ExecOp,
  FileAction,
  FileActionCopy,
  FileActionMkDir,
  FileActionMkFile,
  FileActionRm,
  FileActionSymlink,
  FileOp,
  LinuxResources,
  MergeOp,
  Meta,
  Mount,
  Op,
  OpMetadata,
  Platform,
  ProgressGroup,
  Range,
  SecretEnv,
  SourceInfo,
  SourceOp,
} from '../messages/ops';
export type { SourcePolicy } from '../messages/source-policy';
import type { Op, OpMetadata } from '../messages/ops';

/** An operation of a graph. Equal vertexes of different definitions have equal digests. */
export interface Vertex {
  /** `sha256:…` of `bytes`. */
  readonly digest: string;
  readonly op: Op;
  /** As they came: what is handed on. */
  readonly bytes: Buffer;
  readonly metadata: OpMetadata | undefined;
  readonly inputs: readonly Edge[];
}

/** One output of a vertex. */
export interface Edge {
  readonly vertex: Vertex;
  readonly index: number;
}

/** Attributes of `SourceOp`, by what they mean. Lists are JSON arrays, booleans `true`. */
export const sourceAttributes = {
  localSession: 'local.session',
  localUnique: 'local.unique',
  includePatterns: 'local.includepattern',
  followPaths: 'local.followpaths',
  excludePatterns: 'local.excludepatterns',
  sharedKeyHint: 'local.sharedkeyhint',
  localDiffer: 'local.differ',
  imageResolveMode: 'image.resolvemode',
  imageRecordType: 'image.recordtype',
  imageLayerLimit: 'image.layerlimit',
  imageChecksum: 'image.checksum',
  ociSession: 'oci.session',
  ociStore: 'oci.store',
  ociLayerLimit: 'oci.layerlimit',
  gitKeepDirectory: 'git.keepgitdir',
  gitFullUrl: 'git.fullurl',
  gitAuthHeaderSecret: 'git.authheadersecret',
  gitAuthTokenSecret: 'git.authtokensecret',
  gitKnownSshHosts: 'git.knownsshhosts',
  gitMountSshSocket: 'git.mountsshsock',
  gitChecksum: 'git.checksum',
  gitSkipSubmodules: 'git.skipsubmodules',
  httpChecksum: 'http.checksum',
  httpFilename: 'http.filename',
  httpMode: 'http.perm',
  httpUid: 'http.uid',
  httpGid: 'http.gid',
  httpAuthHeaderSecret: 'http.authheadersecret',
  httpHeaderPrefix: 'http.header.',
} as const;

export type ImageResolveMode = 'default' | 'pull' | 'local';
