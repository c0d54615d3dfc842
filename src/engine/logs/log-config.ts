// HostConfig.LogConfig: which options each driver takes, what create refuses, and what start refuses.

import { goBoolProblem, parseGoBool } from '../../go/bool';
import { goQuote } from '../../go/quote';
import { goRegexp } from '../../go/regexp';
import { DaemonError, errorMessage, invalid } from '../../errors';
import { parseHumanSize, parseRamSize } from '../../go/size-format';
import { checkTagTemplate } from '../../semantics/logs/log-attributes';
import { isRemoteDriver, remoteDrivers, remoteOptions, validateRemoteOptions } from './remote/remote-driver';

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

const commonOptions = ['mode', 'max-buffer-size'];
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
/** dockerd's drivers that this daemon does not have, or this host. */
const foreignDrivers = ['awslogs', 'etwlogs', 'gcplogs', 'journald', 'logentries', 'splunk'];
/** Of the file that a driver keeps besides, whose lines are sent elsewhere. */
const cacheOptions = ['cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress'];
const localDefaultBytes = 20_000_000;
const localDefaultFiles = 5;

/** Names of the drivers that there are on this host, as `info` has them. */
export function logDrivers(): string[] {
  return ['json-file', 'local', ...remoteDrivers()].sort();
}

/** Throws InvalidParameter, in Docker's words, for what Docker refuses when the container is created. */
export function validateLogConfig(config: LogConfigInput | undefined): void {
  const type = config?.Type ?? '';
  const driver = type === '' ? 'json-file' : type;
  if (driver === 'none') return;
  const registered: readonly string[] = remoteDrivers();
  if (foreignDrivers.includes(driver) && !registered.includes(driver)) {
    throw invalid(`logger: no log driver named '${driver}' is registered`);
  }
  if (driver !== 'json-file' && driver !== 'local' && !isRemoteDriver(driver)) {
    throw invalid(`error looking up logging plugin ${driver}: plugin "${driver}" not found`);
  }
  const options = config?.Config ?? {};
  validateMode(options);
  for (const name of Object.keys(options).sort()) {
    if (commonOptions.includes(name)) continue;
    if (isRemoteDriver(driver)) {
      if (remoteOptions(driver).includes(name) || cacheOptions.includes(name)) continue;
      throw invalid(`unknown log opt '${name}' for ${driver} log driver`);
    }
    if (driver === 'json-file' && !jsonFileOptions.includes(name)) {
      throw invalid(`unknown log opt '${name}' for json-file log driver`);
    }
    if (driver === 'local' && !localOptions.includes(name)) {
      throw invalid(`unknown log opt '${name}' for log driver local`);
    }
  }
  if (isRemoteDriver(driver)) validateRemoteOptions(driver, options);
}

function validateMode(options: Record<string, string>): void {
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
export function logFileOptions(config: LogConfigInput | undefined): LogFileOptions {
  const driver = config?.Type ?? '';
  const options = config?.Config ?? {};
  if (driver === 'none') return { driver, maxFiles: 1, compress: false };
  if (isRemoteDriver(driver)) {
    checkTagTemplate(options['tag'] ?? '');
    for (const name of ['labels-regex', 'env-regex']) checkRegex(options[name]);
    if (parseBoolean(options['cache-disabled'] ?? 'false'))
      return { driver: 'none', maxFiles: 1, compress: false };
    const cache = ['max-size', 'max-file', 'compress'].flatMap((name) => {
      const value = options[`cache-${name}`];
      return value === undefined ? [] : [[name, value] as const];
    });
    return localOptionsOf(Object.fromEntries(cache));
  }
  // mode=non-blocking needs nothing here: output waits in the guest, and a slow disk never blocks another container.
  return driver === 'local' ? localOptionsOf(options) : jsonFileOptionsOf(options);
}

/** As Docker reports a start that fails for its log: the reason alone goes to the client. */
export function logStartError(reason: string): string {
  return `failed to initialize logging driver: ${reason}`;
}

function jsonFileOptionsOf(options: Record<string, string>): LogFileOptions {
  const size = options['max-size'];
  const maxSizeBytes = size === undefined ? undefined : parseHumanSize(size);
  if (size !== undefined && maxSizeBytes === undefined) throw invalid(`invalid size: '${size}'`);
  if (maxSizeBytes === 0) throw invalid('max-size must be a positive number');
  const files = options['max-file'];
  const maxFiles = files === undefined ? 1 : parseInteger(files);
  if (maxFiles < 1) throw invalid('max-file cannot be less than 1');
  const compress = options['compress'] === undefined ? false : parseBoolean(options['compress']);
  if (compress && (maxFiles === 1 || maxSizeBytes === undefined)) {
    throw invalid('compress cannot be true when max-file is less than 2 or max-size is not set');
  }
  checkTagTemplate(options['tag'] ?? '');
  for (const name of ['labels-regex', 'env-regex']) checkRegex(options[name]);
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
    compress = options['compress'] === undefined ? true : parseBoolean(options['compress']);
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

function parseBoolean(text: string): boolean {
  const value = parseGoBool(text);
  if (value === undefined) throw invalid(goBoolProblem(text));
  return value;
}

function checkRegex(text: string | undefined): void {
  if (text === undefined) return;
  try {
    goRegexp(text);
  } catch (cause) {
    throw new DaemonError('InvalidParameter', errorMessage(cause), { cause });
  }
}
