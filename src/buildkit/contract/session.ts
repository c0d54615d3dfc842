// What clients serve while their builds run: files, credentials, secrets, SSH agents. Implemented by src/buildkit/session.
//
// Every call takes a signal and has a deadline of its own besides, since a client may hang; it rejects with BuildError:
// Unavailable when the client is gone, Cancelled by the signal, else with the client's status.

import type { Duplex, Readable, Writable } from 'node:stream';

/** An attribute set of a file, as fsutil's Stat says it, in POSIX terms. */
export interface FileStat {
  /** Relative, with `/`, clean, never empty; as UTF-8. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character' | 'block';
  /** Permissions with setuid, setgid and sticky: at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
  /** Where a symbolic link leads; of a file: the earlier path that it is a hard link to; else ''. */
  readonly linkName: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export interface FilesRequest {
  /** Which of the client's directories: `context`, `dockerfile`, … */
  readonly name: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** Only these and what links among them lead to. */
  readonly follow?: readonly string[];
}

/** Takes what a client sends. What it throws ends the transfer with that error. */
export interface FilesReceiver {
  /**
   * Each entry, in the order of a walk: checked to be sorted, parents first, within the directory. Returns whether its content
   * is wanted; only asked of files that are no hard links.
   */
  entry(stat: FileStat, index: number): boolean;
  /** A part of the wanted file's content, several files at once; the client waits while the promise is pending. */
  data(index: number, chunk: Buffer): void | Promise<void>;
  /** The wanted file is complete, which may be longer or shorter than its stat said. */
  end(index: number): void | Promise<void>;
}

/** For FileSend: what is written to a client's directory, in the order of a walk. */
export interface SentFile {
  readonly stat: FileStat;
  /** Of files that are no hard links, asked for once and when wanted. */
  readonly content?: () => AsyncIterable<Uint8Array>;
}

/** A client that has opened a session. It lives as long as its connection; nobody frees it. */
export interface SessionCaller {
  readonly id: string;
  readonly name: string;
  /** Equal for equal contexts of one user: with it listings are kept from build to build. */
  readonly sharedKey: string;
  /** Aborted when the client is gone. */
  readonly closed: AbortSignal;
  /** By method: `/moby.filesync.v1.FileSync/DiffCopy`. True for clients that name none (they answer Unimplemented). */
  supports(method: string): boolean;

  receiveFiles(request: FilesRequest, receiver: FilesReceiver, signal: AbortSignal): Promise<void>;
  /** To the directory of `--output`; `exporterIndex` is its place among the build's. */
  sendFiles(exporterIndex: number, files: AsyncIterable<SentFile>, signal: AbortSignal): Promise<void>;
  /**
   * The file of `--output` (tar, docker, oci): written bytes go there. `metadata` is what the exporter tells besides. The
   * client has it when the stream is finished (`stream.finished` waits for its answer); destroy it to give up.
   */
  sendFile(exporterIndex: number, metadata: ReadonlyMap<string, string>, signal: AbortSignal): Writable;

  /** Empty strings: none. */
  credentials(host: string, signal: AbortSignal): Promise<{ username: string; secret: string }>;
  /** The client asks the registry itself. Undefined where it can't: use `credentials`. */
  fetchToken(request: TokenRequest, signal: AbortSignal): Promise<RegistryToken | undefined>;

  /** Undefined: the client has none of that id. */
  secret(id: string, signal: AbortSignal): Promise<Buffer | undefined>;

  /** Rejects with NotFound where the client forwards no agent of that id ('' is `default`). */
  checkSshAgent(id: string, signal: AbortSignal): Promise<void>;
  /** A connection to it. Ends with either side's end; destroy it to give up. */
  connectSshAgent(id: string): Duplex;

  /** What the client has under that id (a context from stdin): the path of `http://buildkit-session/<id>`. */
  pullUpload(id: string, signal: AbortSignal): Readable;

  /** A blob of a content store of the client's (`oci:<name>`). What comes is not checked. */
  readContent(storeId: string, digest: string, signal: AbortSignal): Readable;
  /** Into a content store of the client's (`export`, `local:<directory>`), which checks the digest. One that it has is not sent. */
  writeContent(
    storeId: string,
    blob: { digest: string; sizeBytes: number },
    content: Readable,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface TokenRequest {
  readonly clientId: string;
  readonly host: string;
  readonly realm: string;
  readonly service: string;
  readonly scopes: readonly string[];
}

export interface RegistryToken {
  readonly token: string;
  /** 0: not said. */
  readonly expiresInSeconds: number;
}

export interface Sessions {
  /**
   * The client's session, waited for: a build usually comes before it. Rejects with BuildError Unavailable after a few
   * seconds, `no active session for <id>: context deadline exceeded`.
   */
  get(id: string, signal: AbortSignal): Promise<SessionCaller>;
  /** If it is there. */
  find(id: string): SessionCaller | undefined;
}
