// The daemon's configuration file: JSON with dockerd's keys, refused as dockerd refuses it.

import { readFile } from 'node:fs/promises';
import { DaemonError, systemErrorCode } from '../errors';
import { daemonOptions, foreignDirectives, requireChoice } from './daemon-options';
import { isObject, OptionError, readFileValue, shownValue, type OptionValue } from './option-kinds';

export const defaultConfigFile = '/etc/caisson/daemon.json';

/**
 * What the file says, by key. Throws InvalidParameter for what is no configuration, and for what `flags` say as well.
 * A file that nobody named and that is not there says nothing.
 */
export async function readConfigFile(
  path: string | undefined,
  flags: ReadonlyMap<string, OptionValue>,
): Promise<Map<string, OptionValue>> {
  const used = path ?? defaultConfigFile;
  try {
    const text = await readText(used, path === undefined);
    return text === undefined ? new Map() : parseConfig(text, flags);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    throw new DaemonError(
      'InvalidParameter',
      `unable to configure the Docker daemon with file ${used}: ${error.message}`,
      { cause: error },
    );
  }
}

async function readText(path: string, mayBeMissing: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' && mayBeMissing) return undefined;
    const reason = systemErrorCode(error) === 'ENOENT' ? 'no such file or directory' : 'permission denied';
    throw new OptionError(`open ${path}: ${reason}`, { cause: error });
  }
}

/** Throws OptionError. */
export function parseConfig(text: string, flags: ReadonlyMap<string, OptionValue>): Map<string, OptionValue> {
  const given = parseObject(text);
  requireKnown(Object.keys(given));
  const values = new Map<string, OptionValue>();
  for (const { key, kind } of daemonOptions) {
    if (key in given) values.set(key, readFileValue(kind, key, given[key]));
  }
  const conflicts = [...values].filter(([key]) => flags.has(key));
  if (conflicts.length > 0) {
    const shown = conflicts.map(
      ([key, value]) =>
        `${key}: (from flag: ${shownValue(flags.get(key) ?? '')}, from file: ${shownValue(value)})`,
    );
    throw new OptionError(
      `the following directives are specified both as a flag and in the configuration file: ${shown.join(', ')}`,
    );
  }
  for (const { key, choices, check } of daemonOptions) {
    const value = values.get(key);
    if (value === undefined) continue;
    try {
      requireChoice(choices, value);
      (check as ((value: OptionValue) => void) | undefined)?.(value);
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      throw new OptionError(`configuration validation from file failed: ${error.message}`, { cause: error });
    }
  }
  return values;
}

function parseObject(text: string): Record<string, unknown> {
  if (text.trim() === '') throw new OptionError('EOF');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new OptionError(`invalid JSON: ${(error as SyntaxError).message}`, { cause: error });
  }
  if (value === null) return {};
  if (isObject(value)) return value;
  const type = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  throw new OptionError(`json: cannot unmarshal ${type} into Go value of type map[string]interface {}`);
}

function requireKnown(keys: readonly string[]): void {
  const known = new Set(daemonOptions.map(({ key }) => key));
  const unknown = keys.filter((key) => !known.has(key) && !(key in foreignDirectives)).sort();
  if (unknown.length > 0) {
    throw new OptionError(
      `the following directives don't match any configuration option: ${unknown.join(', ')}`,
    );
  }
  const foreign = keys.filter((key) => !known.has(key)).sort();
  if (foreign.length > 0) {
    const shown = foreign.map((key) => `${key} (${foreignDirectives[key] ?? ''})`);
    throw new OptionError(`the following directives have no meaning for this daemon: ${shown.join(', ')}`);
  }
}
