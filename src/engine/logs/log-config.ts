// HostConfig.LogConfig: which options each driver takes, what create refuses, and what start refuses.

import { invalid } from '../../errors';
import {
  checkLogRegex,
  commonLogOptions,
  fileLogOptions,
  parseLogBoolean,
  validateFileLog,
  validateLogMode,
  type LogConfigInput,
  type LogFileOptions,
} from '../../semantics/logs/file-log-options';
import { checkTagTemplate } from '../../semantics/logs/log-attributes';
import { isRemoteDriver, remoteDrivers, remoteOptions, validateRemoteOptions } from './remote/remote-driver';

/** dockerd's drivers that this daemon does not have, or this host. */
const foreignDrivers = ['awslogs', 'etwlogs', 'gcplogs', 'journald', 'logentries', 'splunk'];
/** Of the file that a driver keeps besides, whose lines are sent elsewhere. */
const cacheOptions = ['cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress'];
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
  if (!isRemoteDriver(driver)) {
    validateFileLog(driver, options);
    return;
  }
  validateLogMode(options);
  for (const name of Object.keys(options).sort()) {
    if ([...commonLogOptions, ...remoteOptions(driver), ...cacheOptions].includes(name)) continue;
    throw invalid(`unknown log opt '${name}' for ${driver} log driver`);
  }
  validateRemoteOptions(driver, options);
}

/** Throws InvalidParameter for values that Docker only finds wrong when the container starts. */
export function logFileOptions(config: LogConfigInput | undefined): LogFileOptions {
  const driver = config?.Type ?? '';
  const options = config?.Config ?? {};
  if (driver === 'none') return { driver, maxFiles: 1, compress: false };
  if (isRemoteDriver(driver)) {
    checkTagTemplate(options['tag'] ?? '');
    for (const name of ['labels-regex', 'env-regex']) checkLogRegex(options[name]);
    if (parseLogBoolean(options['cache-disabled'] ?? 'false'))
      return { driver: 'none', maxFiles: 1, compress: false };
    const cache = ['max-size', 'max-file', 'compress'].flatMap((name) => {
      const value = options[`cache-${name}`];
      return value === undefined ? [] : [[name, value] as const];
    });
    return fileLogOptions('local', Object.fromEntries(cache));
  }
  // mode=non-blocking needs nothing here: output waits in the guest, and a slow disk never blocks another container.
  return fileLogOptions(driver === 'local' ? driver : 'json-file', options);
}
