// What the lifecycles need of a container's log. ContainerLogStore (logs/) is the implementation.

import type { ContainerRecord } from '../../semantics/containers/container-record';
import type { LogStream } from '../../semantics/logs/log-record';

/** Bytes of each of a run's streams. */
export type LogOffsets = Record<LogStream, number>;

/** The writing end of one run of one container. One writer at a time. */
export interface ContainerLogWriter {
  /** The run as the log's records name it; absent where nothing can be read back. */
  readonly run?: string;
  /** Bytes of this run's stream, counted from the run's start, that the log holds. */
  durableOffset(stream: LogStream): number;
  /**
   * Resolves with the new durable offset of `stream` when the log holds `data`. `offset` is that of its first byte in
   * the run's stream; what lies before the durable offset is dropped. Calls of one stream come in order; the next may
   * come before the last has resolved, and writes may be gathered.
   */
  append(stream: LogStream, data: Buffer, offset: number): Promise<number>;
  /** The stream has ended: resolves with its durable offset when a last line without newline is in the log too. */
  end(stream: LogStream): Promise<number>;
  /** After the last append: followers see the end of the run, a last line without newline is completed. */
  close(): Promise<void>;
}

export interface ContainerLogs {
  /** `LogPath` of inspect for a container with this driver; '' where Docker tells none. */
  logPath(containerId: string, driver: string): string;
  /**
   * `record.state` or the caller gives the run; offsets known of the same run go on, those of another begin at
   * `first`, by default 0.
   */
  openLog(record: ContainerRecord, runId: string, first?: LogOffsets): Promise<ContainerLogWriter>;
  /** Deletes the log. Idempotent. */
  removeLog(record: ContainerRecord): Promise<void>;
}
