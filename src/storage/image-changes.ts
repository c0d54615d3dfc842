// The Dockerfile instructions that `import --change` and `commit --change` accept, applied to a configuration.

import { DaemonError } from '../errors';
import type { ImageRunConfig } from './image';

const nanoseconds: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A new configuration. Throws InvalidParameter in the words of Docker's Dockerfile parser. */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  let result = config;
  for (const change of changes) {
    for (const line of change.split('\n')) {
      const text = line.trim();
      if (text !== '' && !text.startsWith('#')) result = applyOne(result, text);
    }
  }
  return result;
}

function applyOne(config: ImageRunConfig, line: string): ImageRunConfig {
  const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
  const keyword = word.toUpperCase();
  const needArgument = (): void => {
    if (rest === '') throw new DaemonError('InvalidParameter', `${keyword} requires at least one argument`);
  };
  switch (keyword) {
    case 'CMD':
      return { ...config, Cmd: command(rest) };
    case 'ENTRYPOINT':
      return { ...config, Entrypoint: command(rest) };
    case 'ENV': {
      needArgument();
      return { ...config, Env: mergeEnv(config.Env ?? [], pairs(rest, 'ENV')) };
    }
    case 'LABEL': {
      needArgument();
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs(rest, 'LABEL')) } };
    }
    case 'EXPOSE': {
      needArgument();
      const ports = words(rest).map((port) => exposed(port));
      return {
        ...config,
        ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) },
      };
    }
    case 'VOLUME': {
      needArgument();
      const paths = jsonArray(rest) ?? words(rest);
      if (paths.includes(''))
        throw new DaemonError('InvalidParameter', 'VOLUME specified can not be an empty string');
      return {
        ...config,
        Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) },
      };
    }
    case 'USER':
      needArgument();
      return { ...config, User: rest };
    case 'WORKDIR':
      needArgument();
      return { ...config, WorkingDir: rest.startsWith('/') ? rest : `${config.WorkingDir ?? ''}/${rest}` };
    case 'STOPSIGNAL':
      needArgument();
      return { ...config, StopSignal: rest };
    case 'ONBUILD':
      needArgument();
      return { ...config, OnBuild: [...(config.OnBuild ?? []), rest] };
    case 'HEALTHCHECK':
      return { ...config, Healthcheck: healthcheck(rest) };
    default:
      throw new DaemonError('InvalidParameter', `${keyword.toLowerCase()} is not a valid change command`);
  }
}

/** JSON form, else a shell's command line. */
function command(text: string): string[] {
  return jsonArray(text) ?? (text === '' ? [] : ['/bin/sh', '-c', text]);
}

function jsonArray(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Splits at spaces that are neither quoted nor escaped, and takes the quotes off. */
function words(text: string): string[] {
  const result: string[] = [];
  for (const match of text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs)) {
    result.push(
      match[0].replace(
        /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/gs,
        (_all, escaped?: string, double?: string, single?: string) =>
          double !== undefined ? double.replace(/\\(["\\$])/g, '$1') : (single ?? escaped ?? ''),
      ),
    );
  }
  return result;
}

/** `a=b c=d`, or the old `a b c` that sets one name to the rest of the line. */
function pairs(text: string, keyword: string): [string, string][] {
  const [first = ''] = text.split(/\s/);
  if (!first.includes('=')) {
    const [, name = '', value = ''] = /^(\S+)\s+(.*)$/s.exec(text) ?? [];
    if (name === '') throw new DaemonError('InvalidParameter', `${keyword} must have two arguments`);
    return [[name, value]];
  }
  return words(text).map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw new DaemonError(
        'InvalidParameter',
        `Syntax error - can't find = in "${word}". Must be of the form: name=value`,
      );
    }
    if (equals === 0) throw new DaemonError('InvalidParameter', `${keyword} names can not be blank`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

function mergeEnv(env: readonly string[], added: readonly [string, string][]): string[] {
  const result = [...env];
  for (const [name, value] of added) {
    const at = result.findIndex((entry) => entry.startsWith(`${name}=`));
    if (at >= 0) result[at] = `${name}=${value}`;
    else result.push(`${name}=${value}`);
  }
  return result;
}

function exposed(port: string): string {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(port);
  if (match === null) throw new DaemonError('InvalidParameter', `invalid containerPort: ${port}`);
  const range = match[2] === undefined ? '' : `-${match[2]}`;
  return `${match[1] ?? ''}${range}/${(match[3] ?? 'tcp').toLowerCase()}`;
}

function healthcheck(text: string): NonNullable<ImageRunConfig['Healthcheck']> {
  const check: NonNullable<ImageRunConfig['Healthcheck']> = {};
  let rest = text;
  for (;;) {
    const match = /^--([a-z-]+)=(\S+)\s*(.*)$/s.exec(rest);
    if (match === null) break;
    const [, flag = '', value = '', tail = ''] = match;
    if (flag === 'interval') check.Interval = duration(value);
    else if (flag === 'timeout') check.Timeout = duration(value);
    else if (flag === 'start-period') check.StartPeriod = duration(value);
    else if (flag === 'retries') check.Retries = Number(value);
    else throw new DaemonError('InvalidParameter', `Unknown flag: ${flag}`);
    rest = tail;
  }
  const [, kind = '', argument = ''] = /^(\S*)\s*(.*)$/s.exec(rest) ?? [];
  switch (kind.toUpperCase()) {
    case 'NONE':
      return { ...check, Test: ['NONE'] };
    case 'CMD': {
      if (argument === '') throw new DaemonError('InvalidParameter', 'Missing command after HEALTHCHECK CMD');
      const exec = jsonArray(argument);
      return { ...check, Test: exec === undefined ? ['CMD-SHELL', argument] : ['CMD', ...exec] };
    }
    case '':
      throw new DaemonError('InvalidParameter', 'HEALTHCHECK requires at least one argument');
    default:
      throw new DaemonError(
        'InvalidParameter',
        `Unknown type "${kind.toUpperCase()}" in HEALTHCHECK (try CMD)`,
      );
  }
}

/** Go's durations (`1m30s`), in nanoseconds. */
function duration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new DaemonError('InvalidParameter', `time: invalid duration "${text}"`);
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (nanoseconds[part[2] ?? ''] ?? 0), 0);
}
