// What the API needs from the engine, and all it knows of it. Handlers parse, make one call and write the reply.
// Every method throws DaemonError. `ref` is a name, an id or a unique id prefix, as a client sent it.

import type { Duplex } from 'node:stream';
import type {
  AuthConfig,
  BuildCacheItem,
  BuildPruneResponse,
  AuthResponse,
  ContainerCreateBody,
  ContainerConfig,
  ContainerCreateResponse,
  ContainerInspect,
  ContainerPathStat,
  ContainerPruneResponse,
  ContainerStats,
  ContainerSummary,
  ContainerTopResponse,
  ContainerUpdateBody,
  ContainerWaitResponse,
  DistributionInspect,
  EventMessage,
  ExecCreateBody,
  ExecInspect,
  FilesystemChange,
  HistoryItem,
  HostConfig,
  ImageDeleteItem,
  ImageInspect,
  ImagePruneResponse,
  ImageSummary,
  NetworkConnectBody,
  NetworkCreateBody,
  NetworkDisconnectBody,
  NetworkInspect,
  ProgressLine,
  SystemInfo,
  SystemVersion,
  Volume,
  VolumeCreateBody,
  VolumeListResponse,
} from '../../docker/types';

/** Docker's filters after parsing: name → the set of values. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/** API version of the request (1.12 …), for what changes with it. */
export interface ApiVersion {
  major: number;
  minor: number;
}

export interface AttachOptions {
  logs: boolean;
  stream: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** Undefined: Docker's default, ctrl-p,ctrl-q. */
  detachKeys?: string;
}

/**
 * A client's side of attach or exec: bytes in, bytes out. `write` resolves when the client took them (backpressure);
 * the API frames them (8-byte headers) unless the container has a terminal.
 */
export interface StreamClient {
  /** Ends when the client half-closes; undefined if stdin is not wanted. */
  stdin: AsyncIterable<Buffer> | undefined;
  write(stream: 'stdout' | 'stderr', data: Buffer): Promise<void>;
  /** Aborted when the client is gone. */
  signal: AbortSignal;
}

/** Called once, when the engine knows that attaching will work: the API then sends 101 or 200 and gives the client. */
export type OpenStream = (info: { terminal: boolean }) => StreamClient;

export interface LogsOptions {
  stdout: boolean;
  stderr: boolean;
  follow: boolean;
  /** Milliseconds since the epoch; 0: no limit. */
  sinceMs: number;
  untilMs: number;
  timestamps: boolean;
  /** Number of lines; undefined: all. */
  tail?: number;
  details: boolean;
}

export interface LogLine {
  stream: 'stdout' | 'stderr';
  /** With timestamp and details already put in front if they were asked for; with its newline. */
  data: Buffer;
  /** The next line is at hand: a writer may gather the two in one write, and must flush when this is absent. */
  more?: boolean;
}

export interface ContainerBackend {
  create(
    body: ContainerCreateBody,
    options: { name?: string; platform?: string; version: ApiVersion },
  ): Promise<ContainerCreateResponse>;
  list(options: {
    all: boolean;
    limit: number;
    size: boolean;
    filters: Filters;
  }): Promise<ContainerSummary[]>;
  inspect(ref: string, options: { size: boolean }): Promise<ContainerInspect>;
  /** `hostConfig`: of an old client, in place of what create was given. */
  start(
    ref: string,
    options: { detachKeys?: string; checkpoint?: string; checkpointDir?: string; hostConfig?: HostConfig },
  ): Promise<void>;
  /** `timeoutSeconds` undefined: the container's StopTimeout, else 10; −1: for ever. */
  stop(ref: string, options: { timeoutSeconds?: number; signal?: string }): Promise<void>;
  restart(ref: string, options: { timeoutSeconds?: number; signal?: string }): Promise<void>;
  kill(ref: string, options: { signal?: string }): Promise<void>;
  pause(ref: string): Promise<void>;
  unpause(ref: string): Promise<void>;
  rename(ref: string, name: string): Promise<void>;
  resize(ref: string, size: { rows: number; columns: number }): Promise<void>;
  top(ref: string, psArgs: string): Promise<ContainerTopResponse>;
  /**
   * Resolves at once if the ref is known (so that headers can be sent) with a promise of the status. `removed` waits
   * for the removal, `next-exit` for the next one, `not-running` for none running.
   */
  wait(
    ref: string,
    condition: 'not-running' | 'next-exit' | 'removed',
    signal: AbortSignal,
  ): Promise<{ exit: Promise<ContainerWaitResponse> }>;
  remove(ref: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>;
  prune(filters: Filters): Promise<ContainerPruneResponse>;
  update(ref: string, body: ContainerUpdateBody): Promise<{ Warnings: string[] | null }>;
}

/** What goes on until the client leaves. */
export interface ContainerStreamBackend {
  /** First resolves (ref known, driver readable), then yields lines until the end, or until `signal`. */
  logs(
    ref: string,
    options: LogsOptions,
    signal: AbortSignal,
  ): Promise<{ terminal: boolean; lines: AsyncIterable<LogLine> }>;
  /** Resolves when the attachment is over: output ended, detach keys, or the client is gone. */
  attach(ref: string, options: AttachOptions, open: OpenStream): Promise<void>;
  /** One sample, or a stream of them until `signal`. `oneShot`: no wait for a second sample. */
  stats(
    ref: string,
    options: { stream: boolean; oneShot: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<ContainerStats>>;
}

/** The files of a container, be it running or not. */
export interface ContainerFileBackend {
  /** Null: none. */
  changes(ref: string): Promise<FilesystemChange[] | null>;
  /** The container's file system as a tar stream. */
  export(ref: string, signal: AbortSignal): Promise<NodeJS.ReadableStream>;
  archiveStat(ref: string, path: string): Promise<ContainerPathStat>;
  archiveGet(
    ref: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ stat: ContainerPathStat; archive: NodeJS.ReadableStream }>;
  /** Of old clients: a tar of what `path` leads to. */
  copy(ref: string, path: string, signal: AbortSignal): Promise<NodeJS.ReadableStream>;
  /** Resolves when the whole archive, perhaps compressed, is unpacked at `path`. */
  archivePut(
    ref: string,
    path: string,
    archive: NodeJS.ReadableStream,
    options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean },
    signal: AbortSignal,
  ): Promise<void>;
}

/** Of containers, with `experimental`. `directory` '': the container's own checkpoints. */
export interface CheckpointBackend {
  /** With `exit` it resolves when the container has ended. */
  checkpointCreate(ref: string, request: { name: string; directory: string; exit: boolean }): Promise<void>;
  /** Names. */
  checkpointList(ref: string, directory: string): Promise<string[]>;
  checkpointDelete(ref: string, name: string, directory: string): Promise<void>;
}

export interface ExecStartOptions {
  detach: boolean;
  tty: boolean;
  consoleSize?: { rows: number; columns: number };
  /** A program that can't be started is a rejection, and no text in the stream. */
  rejects?: boolean;
}

export interface ExecBackend {
  create(containerRef: string, body: ExecCreateBody): Promise<{ Id: string }>;
  /**
   * `detach`: resolves when started. Otherwise calls `open` and resolves when the stream is over. What is thrown before
   * `open` is answered with a status (no such exec, container not running); what is thrown after it, as by a command
   * that can't be executed or an exec that has run already, is written to the client's stdout as dockerd does.
   */
  start(execId: string, options: ExecStartOptions, open: OpenStream): Promise<void>;
  inspect(execId: string): Promise<ExecInspect>;
  resize(execId: string, size: { rows: number; columns: number }): Promise<void>;
}

/** A sink of JSON progress lines; the API sends 200 with the first one. */
export type ProgressWriter = (line: ProgressLine) => void;

export interface ImageBackend {
  list(options: { all: boolean; digests: boolean; filters: Filters }): Promise<ImageSummary[]>;
  inspect(ref: string): Promise<ImageInspect>;
  history(ref: string): Promise<HistoryItem[]>;
  pull(
    options: { fromImage: string; tag: string; platform?: string; auth?: AuthConfig },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void>;
  /** `fromSrc=-`: the body; or a URL. */
  importImage(
    options: {
      fromSrc: string;
      repo: string;
      tag: string;
      message: string;
      changes: string[];
      platform?: string;
    },
    body: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void>;
  load(
    body: NodeJS.ReadableStream,
    options: { quiet: boolean },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void>;
  tag(ref: string, options: { repo: string; tag: string }): Promise<void>;
  remove(ref: string, options: { force: boolean; noprune: boolean }): Promise<ImageDeleteItem[]>;
  prune(filters: Filters): Promise<ImagePruneResponse>;
  search(term: string, options: { limit: number; filters: Filters; auth?: AuthConfig }): Promise<object[]>;

  push(
    ref: string,
    options: { tag: string; auth: AuthConfig },
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void>;
  /** `docker save`: one tar of all named images. */
  save(refs: string[], signal: AbortSignal): Promise<NodeJS.ReadableStream>;
  /** What the registry has under this name. */
  distribution(ref: string, auth?: AuthConfig): Promise<DistributionInspect>;
}

/** `docker commit`, which is about a container and answers with an image. */
export interface CommitBackend {
  commit(options: CommitOptions): Promise<{ Id: string }>;
}

export interface CommitOptions {
  container: string;
  repo: string;
  tag: string;
  author: string;
  comment: string;
  pause: boolean;
  /** Dockerfile instructions. */
  changes: string[];
  config: ContainerConfig;
}

/** The legacy builder. `context` is the tar that the client sends. */
export interface BuildBackend {
  build(
    options: BuildOptions,
    context: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void>;
}

/** Builds of BuildKit's clients. Sockets speak HTTP/2 from now on; it ends and closes them. */
export interface BuildKitBackend {
  /** The client calls us. */
  serve(socket: Duplex): void;
  /** Throws for a session that has no id. `header` gives every value of a header, by its name in lower case. */
  checkSession(header: (name: string) => readonly string[]): void;
  /** We call the client. */
  openSession(header: (name: string) => readonly string[], socket: Duplex): void;
  /** Does nothing if no such build runs. */
  cancel(buildId: string): void;
  /** `/build?version=2`: as the legacy builder's, with BuildKit's progress. `context` is the client's tar, or has nothing in it. */
  build(
    options: Pick<BuildOptions, 'query' | 'room'>,
    context: NodeJS.ReadableStream,
    progress: ProgressWriter,
    signal: AbortSignal,
  ): Promise<void>;
  /** What the cache of builds holds. */
  cacheUsage(signal: AbortSignal): Promise<BuildCacheItem[]>;
  /** Filters are known to be Docker's, with values that it takes. */
  prune(options: BuildPruneOptions, signal: AbortSignal): Promise<BuildPruneResponse>;
}

export interface BuildPruneOptions {
  all: boolean;
  filters: Filters;
  /** So much of what was used last is kept; 0: nothing. */
  keepBytes: number;
}

/** Query of the legacy builder, by its names; registries' credentials by server address. */
export interface BuildOptions {
  query: URLSearchParams;
  auths: Readonly<Record<string, AuthConfig>>;
  /** Resolves when the client has taken what it was told, or is gone: there is no end to what a step may say. */
  room: () => Promise<void>;
}

export interface SystemBackend {
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
  /** Checks the credentials with the registry. */
  auth(body: AuthConfig): Promise<AuthResponse>;
  /** Past events since `sinceNs`, then live ones until `untilNs` or `signal`. Nanoseconds since the epoch. */
  events(
    options: { sinceNs?: bigint; untilNs?: bigint; filters: Filters },
    signal: AbortSignal,
  ): Promise<AsyncIterable<EventMessage>>;
  diskUsage(): Promise<object>;
}

export interface NetworkBackend {
  /** `detailed`: with the containers of each. */
  list(filters: Filters, options: { detailed: boolean }): Promise<NetworkInspect[]>;
  inspect(ref: string, options: { verbose: boolean; scope: string }): Promise<NetworkInspect>;
  create(body: NetworkCreateBody): Promise<{ Id: string; Warning: string }>;
  remove(ref: string): Promise<void>;
  connect(ref: string, body: NetworkConnectBody): Promise<void>;
  disconnect(ref: string, body: NetworkDisconnectBody): Promise<void>;
  prune(filters: Filters): Promise<{ NetworksDeleted: string[] | null }>;
}

export interface VolumeBackend {
  list(filters: Filters): Promise<VolumeListResponse>;
  inspect(name: string): Promise<Volume>;
  create(body: VolumeCreateBody): Promise<Volume>;
  remove(name: string, options: { force: boolean }): Promise<void>;
  prune(filters: Filters): Promise<{ VolumesDeleted: string[] | null; SpaceReclaimed: number }>;
}

export interface Backend {
  containers: ContainerBackend &
    ContainerStreamBackend &
    ContainerFileBackend &
    CheckpointBackend &
    CommitBackend;
  exec: ExecBackend;
  images: ImageBackend;
  builds: BuildBackend;
  /** Absent: BuildKit is refused, and clients are told to use the classic builder. */
  buildKit?: BuildKitBackend;
  system: SystemBackend;
  networks: NetworkBackend;
  volumes: VolumeBackend;
}
