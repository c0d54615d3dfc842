// Options of the logs that are files, `json-file` and `local`: which there are, what create refuses, and what start refuses.

import { DaemonError, errorMessage, invalid } from '../../errors';
import { goBoolProblem, parseGoBool } from '../../go/bool';
import { goQuote } from '../../go/quote';
import { goRegexp } from '../../go/regexp';
import { parseHumanSize, parseRamSize } from '../../go/size-format';
import { checkTagTemplate } from './log-attributes';

/** The part of HostConfig.LogConfig that matters here. */
export interface LogConfigInput {
  Type?: string | undefined;
  Config?: Record<string, string> | null | undefined;
}

/** How the log of one container is kept. */
export interface LogFileOptions {
  driver: 'json-file' | 'local' | 'none';
  /** A file this long gets no further record; undefined: it grows without limit. */
  maxSizeBytes?: number;
  /** How many files there may be, the one being written included. */
  maxFiles: number;
  /** Rotated files are compressed. */
  compress: boolean;
}

/** Of every driver. */
export const commonLogOptions = ['mode', 'max-buffer-size'];
const jsonFileOptions = [
  'max-file',
  'max-size',
  'compress',
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
];
const localOptions = ['max-file', 'max-size', 'compress'];
const localDefaultBytes = 20_000_000;
const localDefaultFiles = 5;

/** Throws InvalidParameter, in Docker's words, for what Docker refuses when the container is created. */
export function validateFileLog(driver: 'json-file' | 'local', options: Record<string, string>): void {
  validateLogMode(options);
  for (const name of Object.keys(options).sort()) {
    if (commonLogOptions.includes(name)) continue;
    if (driver === 'json-file' && !jsonFileOptions.includes(name))
      throw invalid(`unknown log opt '${name}' for json-file log driver`);
    if (driver === 'local' && !localOptions.includes(name))
      throw invalid(`unknown log opt '${name}' for log driver local`);
  }
}

export function validateLogMode(options: Record<string, string>): void {
  const mode = options['mode'] ?? '';
  if (mode !== '' && mode !== 'blocking' && mode !== 'non-blocking') {
    throw invalid(`logger: logging mode not supported: ${mode}`);
  }
  const buffer = options['max-buffer-size'];
  if (buffer === undefined) return;
  if (mode !== 'non-blocking') {
    throw invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  }
  if (parseRamSize(buffer) === undefined) {
    throw invalid(`error parsing option max-buffer-size: invalid size: '${buffer}'`);
  }
}

/** Throws InvalidParameter for values that Docker only finds wrong when the container starts. */
export function fileLogOptions(
  driver: 'json-file' | 'local',
  options: Record<string, string>,
): LogFileOptions {
  return driver === 'local' ? localOptionsOf(options) : jsonFileOptionsOf(options);
}

function jsonFileOptionsOf(options: Record<string, string>): LogFileOptions {
  const size = options['max-size'];
  const maxSizeBytes = size === undefined ? undefined : parseHumanSize(size);
  if (size !== undefined && maxSizeBytes === undefined) throw invalid(`invalid size: '${size}'`);
  if (maxSizeBytes === 0) throw invalid('max-size must be a positive number');
  const files = options['max-file'];
  const maxFiles = files === undefined ? 1 : parseInteger(files);
  if (maxFiles < 1) throw invalid('max-file cannot be less than 1');
  const compress = options['compress'] === undefined ? false : parseLogBoolean(options['compress']);
  if (compress && (maxFiles === 1 || maxSizeBytes === undefined)) {
    throw invalid('compress cannot be true when max-file is less than 2 or max-size is not set');
  }
  checkTagTemplate(options['tag'] ?? '');
  for (const name of ['labels-regex', 'env-regex']) checkLogRegex(options[name]);
  return {
    driver: 'json-file',
    maxFiles,
    compress,
    ...(maxSizeBytes === undefined ? {} : { maxSizeBytes }),
  };
}

function localOptionsOf(options: Record<string, string>): LogFileOptions {
  const size = options['max-size'];
  const maxSizeBytes = size === undefined ? localDefaultBytes : parseHumanSize(size);
  if (maxSizeBytes === undefined)
    throw invalid(`invalid value for max-size: ${size ?? ''}: invalid size: '${size ?? ''}'`);
  if (maxSizeBytes === 0) throw invalid('max size should be a positive number');
  const files = options['max-file'];
  let maxFiles: number;
  let compress: boolean;
  try {
    maxFiles = files === undefined ? localDefaultFiles : parseInteger(files);
  } catch (error) {
    throw invalid(`invalid value for max-file: ${files ?? ''}: ${(error as Error).message}`);
  }
  try {
    compress = options['compress'] === undefined ? true : parseLogBoolean(options['compress']);
  } catch (error) {
    throw invalid(`error reading compress log option: ${(error as Error).message}`);
  }
  if (compress && maxFiles <= 1) throw invalid('compression cannot be enabled when max file count is 1');
  if (maxFiles < 1) throw invalid('max-file must be greater than 0');
  return { driver: 'local', maxFiles, compress, maxSizeBytes };
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw invalid(`strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`);
  return Number(text);
}

export function parseLogBoolean(text: string): boolean {
  const value = parseGoBool(text);
  if (value === undefined) throw invalid(goBoolProblem(text));
  return value;
}

export function checkLogRegex(text: string | undefined): void {
  if (text === undefined) return;
  try {
    goRegexp(text);
  } catch (cause) {
    throw new DaemonError('InvalidParameter', errorMessage(cause), { cause });
  }
}
