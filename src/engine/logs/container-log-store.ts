// logs/: containers' output on disk, and at collectors elsewhere: who writes it, and who reads it back.
//
// All containers' logs: which are open for writing, and where each lies on disk.

import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import * as path from 'node:path';
import { DaemonError } from '../../errors';
import type { ContainerLogs, ContainerLogWriter, LogOffsets } from '../core/container-log';
import type { ContainerRecord } from '../../semantics/containers/container-record';
import { isActive } from '../../semantics/containers/container-state';
import { logAttributes, logSubject } from '../../semantics/logs/log-attributes';
import type { LogConfigInput, LogFileOptions } from '../../semantics/logs/file-log-options';
import { logFileOptions } from './log-config';
import { isRemoteDriver, remoteWriter } from './remote/remote-driver';
import { LogFile, removeLogFiles } from './log-file';
import { DiscardingLogWriter, FileLogWriter } from './log-writer';
import { RecordEncoder } from '../../semantics/logs/record-encoder';

interface OpenLog {
  readonly file: LogFile;
  writer: ContainerLogWriter;
}

/** What a reader needs: where the files are, and the log being written if the container runs. */
export interface LogSource {
  path: string;
  maxFiles: number;
  open: LogFile | undefined;
}

export class ContainerLogStore implements ContainerLogs {
  readonly #dataRoot: string;
  readonly #nativeDir: string;
  readonly #open = new Map<string, OpenLog>();

  /** `nativeDir`: where our programs are. */
  constructor(dataRoot: string, nativeDir: string) {
    this.#dataRoot = dataRoot;
    this.#nativeDir = nativeDir;
  }

  /** `LogPath` of inspect for a container with this driver: Docker tells only json-file's. */
  logPath(containerId: string, driver: string): string {
    return driver === '' || driver === 'json-file' ? this.#jsonPath(containerId) : '';
  }

  /**
   * Offsets start at `first` unless the file shows that the same run was written to it. Throws InvalidParameter for options
   * that Docker refuses at start; logStartError(message) is what State.Error then says.
   */
  async openLog(
    record: ContainerRecord,
    runId: string,
    first: LogOffsets = { stdout: 0, stderr: 0 },
  ): Promise<ContainerLogWriter> {
    await this.#open.get(record.id)?.writer.close();
    const config = record.hostConfig.LogConfig ?? {};
    const options = logFileOptions(config);
    const subject = logSubject(record);
    const local =
      options.driver === 'none'
        ? new DiscardingLogWriter(first)
        : this.#openFile(record, { runId, first }, options);
    if (!isRemoteDriver(config.Type)) return local;
    try {
      // Of a container that runs already its daemon was away.
      const resumed = isActive(record.state);
      const writer = await remoteWriter({
        driver: config.Type,
        options: config.Config ?? {},
        subject,
        file: local,
        resumed,
        nativeDir: this.#nativeDir,
      });
      const open = this.#open.get(record.id);
      if (open?.writer === local) open.writer = writer;
      return writer;
    } catch (error) {
      await local.close();
      throw error;
    }
  }

  #openFile(
    record: ContainerRecord,
    { runId, first }: { runId: string; first: LogOffsets },
    options: LogFileOptions,
  ): ContainerLogWriter {
    const file = new LogFile(this.#pathOf(record), options);
    const run = runMark(runId);
    const known = file.recovered?.run === run ? file.recovered : { run, ...first };
    const attributes = logAttributes(record.hostConfig.LogConfig?.Config ?? {}, logSubject(record));
    const open: OpenLog = {
      file,
      writer: new FileLogWriter(file, new RecordEncoder(known, attributes), () => {
        if (this.#open.get(record.id) === open) this.#open.delete(record.id);
      }),
    };
    this.#open.set(record.id, open);
    return open.writer;
  }

  async removeLog(record: ContainerRecord): Promise<void> {
    await this.#open.get(record.id)?.writer.close();
    if (hasLocalFile(record)) {
      await rm(path.dirname(this.#localPath(record.id)), { recursive: true, force: true });
    } else {
      removeLogFiles(this.#jsonPath(record.id));
    }
  }

  /** For readers. Throws NotImplemented, in Docker's words, for the driver `none`. */
  source(record: ContainerRecord): LogSource {
    const config = record.hostConfig.LogConfig ?? {};
    if (keepsNothing(config)) {
      throw new DaemonError('NotImplemented', 'configured logging driver does not support reading');
    }
    const open = this.#open.get(record.id)?.file;
    return { path: this.#pathOf(record), maxFiles: maxFilesOf(config), open };
  }

  #pathOf(record: ContainerRecord): string {
    return hasLocalFile(record) ? this.#localPath(record.id) : this.#jsonPath(record.id);
  }

  #jsonPath(containerId: string): string {
    return path.join(this.#dataRoot, 'containers', containerId, `${containerId}-json.log`);
  }

  #localPath(containerId: string): string {
    return path.join(this.#dataRoot, 'containers', containerId, 'local-logs', 'container.log');
  }
}

/** Also drivers that send lines elsewhere keep such a file, for readers. */
function hasLocalFile({ hostConfig }: ContainerRecord): boolean {
  return hostConfig.LogConfig?.Type === 'local' || isRemoteDriver(hostConfig.LogConfig?.Type);
}

function keepsNothing(config: LogConfigInput): boolean {
  try {
    return logFileOptions(config).driver === 'none';
  } catch {
    return false; // never started, so there is nothing, which is no error
  }
}

function maxFilesOf(config: Parameters<typeof logFileOptions>[0]): number {
  try {
    return logFileOptions(config).maxFiles;
  } catch {
    // Never started with these options, so nothing was rotated.
    return 1;
  }
}

/** A short word for a run, safe inside JSON; different runs of one container differ. */
function runMark(runId: string): string {
  if (/^[\w-]{1,12}$/.test(runId)) return runId;
  return createHash('sha256').update(runId).digest('hex').slice(0, 12);
}
