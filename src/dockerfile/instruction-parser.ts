// Lines of a Dockerfile made into typed instructions, with the checks and errors of Docker's parser.

import { DaemonError, isDaemonError, invalid } from '../errors';
import { goQuote } from '../go/quote';
import { jsonArray, splitWords } from './words';
import { parseHealthcheck } from './healthcheck-instruction';
import { parseLine, type InstructionLine, type ParsedDockerfile } from './parser';
import type { BuildPlan, Command, CommandLine, KeyValue, Stage } from './instructions';

/** The flags that instructions have; all take a value. */
const knownFlags: Record<string, readonly string[]> = {
  add: ['chown', 'chmod'],
  copy: ['chown', 'from', 'chmod'],
  from: ['platform'],
  run: ['mount'],
};
/** May be given several times. */
const repeatableFlags = ['mount'];

/** Every instruction of the file. Throws InvalidParameter in Docker's words; `name` is the file's. */
export function parseBuild(dockerfile: ParsedDockerfile, name: string): BuildPlan {
  const { escape, lines } = dockerfile;
  // dockerd reads words of all lines first, and complains of them with the file's name
  const read = lines.map((line) => ({ line, words: readWords(line, escape, name) }));
  const plan: BuildPlan = { metaArgs: [], stages: [] };
  for (const { line, words } of read) {
    if (line.keyword === 'from') {
      plan.stages.push(withLine(line, () => parseStage(line, words)));
      continue;
    }
    const command = withLine(line, () => toCommand(line, words));
    const stage = plan.stages.at(-1);
    if (stage !== undefined) stage.commands.push(command);
    else if (command.kind === 'arg') plan.metaArgs.push(command);
    else throw invalid('no build stage in current context');
  }
  if (plan.stages.length === 0) throw invalid('no build stage in current context');
  return plan;
}

/** A single instruction, such as a trigger that an image carries. Throws InvalidParameter. */
export function parseCommand(text: string, escape: string): Command {
  const line = parseLine(text, 1);
  return toCommand(line, readWords(line, escape, undefined));
}

function withLine<T>({ lineNumber }: InstructionLine, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    const message = `dockerfile parse error line ${lineNumber}: ${error.message}`;
    throw new DaemonError('InvalidParameter', message, { cause: error });
  }
}

interface Words {
  list: string[];
  /** They were a JSON array. */
  isJson: boolean;
  pairs: KeyValue[];
}

function readWords(line: InstructionLine, escape: string, fileName: string | undefined): Words {
  try {
    return splitArguments(line, escape);
  } catch (error) {
    if (fileName === undefined || !isDaemonError(error)) throw error;
    throw new DaemonError('InvalidParameter', `failed to parse ${fileName}: ${error.message}`, {
      cause: error,
    });
  }
}

function splitArguments({ keyword, rest }: InstructionLine, escape: string): Words {
  const plain = (list: string[]): Words => ({ list, isJson: false, pairs: [] });
  const byJson = (otherwise: (text: string) => string[]): Words => {
    const array = jsonArray(rest);
    return array === undefined ? plain(otherwise(rest)) : { list: array, isJson: true, pairs: [] };
  };
  const whole = (text: string): string[] => (text === '' ? [] : [text]);
  switch (keyword) {
    case 'add':
    case 'copy':
    case 'volume':
      return byJson(splitAtSpaces);
    case 'cmd':
    case 'entrypoint':
    case 'run':
    case 'shell':
      return byJson(whole);
    case 'env':
    case 'label':
      return { list: [], isJson: false, pairs: nameValues(rest, keyword.toUpperCase(), escape) };
    case 'arg':
      return plain(splitWords(rest, escape));
    case 'from':
    case 'expose':
      return plain(splitAtSpaces(rest));
    case 'onbuild': {
      const trigger = parseLine(rest, 1);
      if (trigger.keyword !== keyword) splitArguments(trigger, escape); // its words have to be right already
      return plain(whole(rest));
    }
    default:
      return plain(whole(rest));
  }
}

function splitAtSpaces(text: string): string[] {
  return text === '' ? [] : text.split(/[\t\v\f\r ]+/);
}

/** `a=b c=d`, or the old `a b c` that sets one name to the rest of the line. */
function nameValues(text: string, keyword: string, escape: string): KeyValue[] {
  const words = splitWords(text, escape);
  const [first] = words;
  if (first === undefined) return [];
  if (!first.includes('=')) {
    const [, key, value] = /^([^\t\v\f\r ]+)[\t\v\f\r ]+(.*)$/s.exec(text) ?? [];
    if (key === undefined || value === undefined) throw invalid(`${keyword} must have two arguments`);
    return [{ key, value }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw invalid(`Syntax error - can't find = in ${goQuote(word)}. Must be of the form: name=value`);
    }
    return { key: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}

function parseStage(line: InstructionLine, { list }: Words): Stage {
  const [baseName = '', as = '', given = ''] = list;
  const hasName = list.length === 3 && as.toLowerCase() === 'as';
  if (!hasName && list.length !== 1) throw invalid('FROM requires either one or three arguments');
  const name = given.toLowerCase();
  if (hasName && !/^[a-z][a-z0-9-_.]*$/.test(name)) {
    throw invalid(
      `invalid name for build stage: ${goQuote(given)}, name can't start with a number or contain symbols`,
    );
  }
  const { platform = '' } = parseFlags(line).values;
  return { name: hasName ? name : '', baseName, platform, original: line.original, commands: [] };
}

function toCommand(line: InstructionLine, words: Words): Command {
  const { keyword, original } = line;
  const { list, isJson, pairs } = words;
  const upper = keyword.toUpperCase();
  const atLeastOne = (): void => {
    if (list.length + pairs.length === 0) throw invalid(`${upper} requires at least one argument`);
  };
  const exactlyOne = (): string => {
    const [only] = list;
    if (only === undefined || list.length > 1) throw invalid(`${upper} requires exactly one argument`);
    // as dockerd, whose parsers of ARG and STOPSIGNAL alone never look at flags
    if (keyword !== 'stopsignal') parseFlags(line);
    return only;
  };
  switch (keyword) {
    case 'add':
    case 'copy': {
      if (list.length < 2) {
        throw invalid(
          `${upper} requires at least two arguments, but only one was provided. Destination could not be determined`,
        );
      }
      const { chown = '', chmod = '', from = '' } = parseFlags(line).values;
      const destination = list.at(-1) ?? '';
      return { kind: keyword, original, sources: list.slice(0, -1), destination, chown, chmod, from };
    }
    case 'arg':
      atLeastOne();
      return { kind: 'arg', original, args: list.map(parseArg) };
    case 'cmd':
    case 'entrypoint': {
      parseFlags(line);
      const command = commandLine(words);
      if (keyword === 'entrypoint' && command.words?.length === 0) command.words = undefined;
      return { kind: keyword, original, command };
    }
    case 'run':
      return { kind: 'run', original, command: commandLine(words), flagsUsed: parseFlags(line).used };
    case 'env':
    case 'label':
      parseFlags(line);
      atLeastOne();
      if (pairs.some(({ key }) => key === '')) throw invalid(`${upper} names can not be blank`);
      return keyword === 'env'
        ? { kind: 'env', original, pairs }
        : { kind: 'label', original, pairs, literal: false };
    case 'expose':
      atLeastOne();
      parseFlags(line);
      return { kind: 'expose', original, ports: list.sort() };
    case 'healthcheck':
      atLeastOne();
      return { kind: 'healthcheck', original, healthcheck: healthcheckOf(line) };
    case 'maintainer':
      return { kind: 'maintainer', original, maintainer: exactlyOne() };
    case 'onbuild':
      atLeastOne();
      parseFlags(line);
      return { kind: 'onbuild', original, trigger: triggerOf(original, list[0] ?? '') };
    case 'shell':
      parseFlags(line);
      if (isJson && list.length > 0) return { kind: 'shell', original, shell: list };
      atLeastOne();
      throw invalid('SHELL requires the arguments to be in JSON form');
    case 'stopsignal':
      return { kind: 'stopsignal', original, signal: exactlyOne() };
    case 'user':
      return { kind: 'user', original, user: exactlyOne() };
    case 'volume': {
      atLeastOne();
      parseFlags(line);
      const paths = list.map((path) => path.trim());
      if (paths.includes('')) throw invalid('VOLUME specified can not be an empty string');
      return { kind: 'volume', original, paths };
    }
    case 'workdir':
      return { kind: 'workdir', original, path: exactlyOne() };
    default:
      throw invalid(`unknown instruction: ${upper}`);
  }
}

function commandLine({ list, isJson }: Words): CommandLine {
  return { words: list, usesShell: !isJson };
}

function parseArg(word: string): { key: string; value: string | undefined } {
  const equals = word.indexOf('=');
  if (equals === 0) throw invalid('ARG names can not be blank');
  return equals < 0
    ? { key: word, value: undefined }
    : { key: word.slice(0, equals), value: word.slice(equals + 1) };
}

/** The flags stand before the rest there too; the shared parser reads both. */
function healthcheckOf({ flags, rest }: InstructionLine): ReturnType<typeof parseHealthcheck> {
  return parseHealthcheck([...flags, rest].join(' '));
}

function triggerOf(original: string, first: string): string {
  const [keyword = ''] = first.trim().split(/\s/, 1);
  switch (keyword.toUpperCase()) {
    case 'ONBUILD':
      throw invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    case 'MAINTAINER':
    case 'FROM':
      throw invalid(`${keyword.toUpperCase()} isn't allowed as an ONBUILD trigger`);
    default:
      return original.replace(/^\s*ONBUILD\s*/i, '');
  }
}

function parseFlags({ keyword, flags }: InstructionLine): {
  values: Record<string, string>;
  used: string[];
} {
  const values: Record<string, string> = {};
  for (const flag of flags) {
    const [, name = '', value] = /^--([^=]*)(?:=(.*))?$/s.exec(flag) ?? [];
    if (knownFlags[keyword]?.includes(name) !== true) throw invalid(`Unknown flag: ${name}`);
    if (name in values && !repeatableFlags.includes(name)) {
      throw invalid(`Duplicate flag specified: ${name}`);
    }
    if (value === undefined) throw invalid(`Missing a value on flag: ${name}`);
    values[name] = value;
  }
  return { values, used: Object.keys(values) };
}
