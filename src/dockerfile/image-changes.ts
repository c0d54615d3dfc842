// The Dockerfile instructions that `import --change` and `commit --change` accept, applied to a configuration. Results
// and errors are those of dockerd 20.10.

import { posix } from 'node:path';
import { invalid } from '../errors';
import { expandWord, jsonArray, logicalLines, splitWords } from './words';
import { parseHealthcheck } from './healthcheck-instruction';
import type { ImageRunConfig } from '../docker/image-config';

/** A new configuration. Throws InvalidParameter in the words of Docker's Dockerfile parser. */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  if (changes.length === 0) return config;
  const lines = logicalLines(changes.join('\n'));
  if (lines.length === 0) throw invalid('file with no instructions');
  return lines.reduce(applyOne, config);
}

function applyOne(config: ImageRunConfig, line: string): ImageRunConfig {
  const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
  const keyword = word.toUpperCase();
  const variables = new Map((config.Env ?? []).map(splitPair));
  const expand = (text: string): string => expandWord(text, variables);
  const requireArgument = (how: 'at least' | 'exactly'): void => {
    if (rest === '') throw invalid(`${keyword} requires ${how} one argument`);
  };
  switch (keyword) {
    case 'CMD':
      return { ...config, Cmd: jsonArray(rest) ?? shellForm(rest) };
    case 'ENTRYPOINT':
      return { ...config, Entrypoint: rest === '' ? null : (jsonArray(rest) ?? shellForm(rest)) };
    case 'ENV':
      requireArgument('at least');
      return { ...config, Env: mergeEnv(config.Env ?? [], pairs(rest, keyword, expand)) };
    case 'LABEL':
      requireArgument('at least');
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs(rest, keyword, expand)) } };
    case 'EXPOSE': {
      requireArgument('at least');
      const ports = rest.split(/\s+/).flatMap((port) => exposedPorts(expand(port)));
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...emptyObjects(ports) } };
    }
    case 'VOLUME': {
      requireArgument('at least');
      const paths = (jsonArray(rest) ?? rest.split(/\s+/)).map((path) => expand(path).trim());
      if (paths.includes('')) throw invalid('VOLUME specified can not be an empty string');
      return { ...config, Volumes: { ...config.Volumes, ...emptyObjects(paths) } };
    }
    case 'USER':
      requireArgument('exactly');
      return { ...config, User: expand(rest) };
    case 'WORKDIR': {
      requireArgument('exactly');
      const path = expand(rest);
      const isAbsolute = path.startsWith('/');
      return { ...config, WorkingDir: isAbsolute ? path : posix.join('/', config.WorkingDir ?? '', path) };
    }
    case 'ONBUILD':
      requireArgument('at least');
      return { ...config, OnBuild: [...(config.OnBuild ?? []), onBuildTrigger(rest)] };
    case 'HEALTHCHECK':
      return { ...config, Healthcheck: parseHealthcheck(rest) };
    default:
      throw invalid(`${word.toLowerCase()} is not a valid change command`);
  }
}

function shellForm(text: string): string[] {
  return text === '' ? ['/bin/sh', '-c'] : ['/bin/sh', '-c', text];
}

/** `a=b c=d`, or the old `a b c` that sets one name to the rest of the line. */
function pairs(text: string, keyword: string, expand: (text: string) => string): [string, string][] {
  const [first = ''] = splitWords(text);
  if (!first.includes('=')) {
    const [, name = '', value = ''] = /^(\S+)\s+(.*)$/s.exec(text) ?? [];
    if (name === '') throw invalid(`${keyword} must have two arguments`);
    return [[expand(name), expand(value)]];
  }
  return splitWords(text).map((word) => {
    if (!word.includes('=')) {
      throw invalid(`Syntax error - can't find = in "${word}". Must be of the form: name=value`);
    }
    const [name, value] = splitPair(word);
    if (name === '') throw invalid(`${keyword} names can not be blank`);
    return [expand(name), expand(value)];
  });
}

function splitPair(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
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

/** Of `EXPOSE`: `80`, `80-82/udp`, and of `[[ip:]host:]container` the container's. */
export function exposedPorts(spec: string): string[] {
  const [, path = '', given = ''] = /^(.*?)(?:\/(.*))?$/.exec(spec) ?? [];
  const protocol = given === '' ? 'tcp' : given;
  const range = path.slice(path.lastIndexOf(':') + 1);
  if (range === '') throw invalid(`No port specified: ${spec}<empty>`);
  const [, start = '', end = start] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? [];
  const [first, last] = [Number(start), Number(end)];
  if (start === '' || last < first || last > 65_535) throw invalid(`Invalid containerPort: ${range}`);
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw invalid(`Invalid proto: ${protocol}`);
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol.toLowerCase()}`);
}

function onBuildTrigger(text: string): string {
  const [trigger = ''] = text.split(/\s/, 1);
  switch (trigger.toUpperCase()) {
    case 'ONBUILD':
      throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    case 'MAINTAINER':
    case 'FROM':
      throw invalid(`${trigger.toUpperCase()} isn't allowed as an ONBUILD trigger`);
    default:
      return text;
  }
}

function emptyObjects(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
