import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LogLine } from '../../../../src/api/v1.41/backend';
import type { ContainerRecord } from '../../../../src/semantics/containers/container-record';
import type { LogRecord } from '../../../../src/semantics/logs/log-record';
import { readLogBatches, type LogReadOptions } from '../../../../src/engine/logs/log-reader';
import type { LogSource } from '../../../../src/engine/logs/container-log-store';

export function temporaryDirectory(): { directory: string; remove: () => void } {
  const directory = mkdtempSync(path.join(tmpdir(), 'caisson-logs-'));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** As much of a record as the log needs. */
export function recordWith(logConfig: { Type: string; Config: Record<string, string> }): ContainerRecord {
  const id = 'c'.repeat(64);
  return {
    id,
    name: 'web',
    imageId: `sha256:${'1'.repeat(64)}`,
    path: 'sh',
    args: ['-c', 'true'],
    config: { Image: 'busybox', Labels: { a: '1', b: 'x=y z,' }, Env: ['FOO=bar'] },
    hostConfig: { LogConfig: logConfig },
  } as unknown as ContainerRecord;
}

export const wholeLog: LogReadOptions = {
  streams: new Set(['stdout', 'stderr']),
  follow: false,
  sinceMs: 0,
  untilMs: 0,
  tail: undefined,
  timestamps: false,
  details: false,
};

export async function readAll(source: LogSource, options: Partial<LogReadOptions> = {}): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  const signal = new AbortController().signal;
  for await (const batch of readLogBatches(source, { ...wholeLog, ...options }, signal)) lines.push(...batch);
  return lines;
}

export async function readText(source: LogSource, options: Partial<LogReadOptions> = {}): Promise<string> {
  return Buffer.concat((await readAll(source, options)).map((line) => line.data)).toString();
}

/** The records of a log file as they lie on disk. */
export function parseFile(text: string): LogRecord[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LogRecord);
}
