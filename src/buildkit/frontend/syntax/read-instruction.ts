// Statements into typed instructions, with the checks and errors of Docker's parser (Dockerfile reference).

import { goQuote } from '../../../go/quote';
import { splitWords } from '../../../dockerfile/words';
import { jsonWords } from './json-words';
import { atLines, DockerfileProblem } from '../text/problem';
import { heredocMark } from '../text/heredocs';
import type { Statement } from '../text/statement';
import { readFlags, type FlagKind } from './flags';
import { readHealthcheck } from './healthcheck';
import type { ArgText, CommandText, Instruction, InstructionOf, Pair } from './instruction';
import { readMountText } from './mounts';
import { didYouMean } from './suggestions';

const readers: Readonly<Record<Instruction['kind'], (statement: Statement, escape: string) => Instruction>> =
  {
    add: (statement) => readCopy('add', statement),
    arg: readArg,
    cmd: (statement) => ({ kind: 'cmd', statement, command: readCommand(withoutFlags(statement)) }),
    copy: (statement) => readCopy('copy', statement),
    entrypoint: (statement) => ({
      kind: 'entrypoint',
      statement,
      command: readCommand(withoutFlags(statement)),
    }),
    env: (statement, escape) => readPairs('env', statement, escape),
    expose: (statement) => ({ kind: 'expose', statement, ports: atLeastOne(statement) }),
    healthcheck: (statement) => ({ kind: 'healthcheck', statement, check: readHealthcheck(statement) }),
    label: (statement, escape) => readPairs('label', statement, escape),
    maintainer: (statement) => ({ kind: 'maintainer', statement, name: exactlyOne(statement) }),
    onbuild: readOnBuild,
    run: readRun,
    shell: readShell,
    stopsignal: (statement) => ({ kind: 'stopsignal', statement, signal: exactlyOne(statement) }),
    user: (statement) => ({ kind: 'user', statement, user: exactlyOne(statement) }),
    volume: readVolume,
    workdir: (statement) => ({ kind: 'workdir', statement, path: exactlyOne(statement) }),
  };

const keywords = [...Object.keys(readers), 'from'].map((name) => name.toUpperCase());

/** Throws DockerfileProblem in BuildKit's words, without lines. `FROM` is none of these. */
export function readInstruction(statement: Statement, escape: string): Instruction {
  const keyword = statement.keyword.toLowerCase();
  const reader = Object.hasOwn(readers, keyword) ? readers[keyword as Instruction['kind']] : undefined; // it has it
  if (reader === undefined) {
    const suggestion = didYouMean(statement.keyword, keywords);
    throw new DockerfileProblem(`unknown instruction: ${statement.keyword}${suggestion}`);
  }
  return reader(statement, escape);
}

export function upperKeyword({ keyword }: Statement): string {
  return keyword.toUpperCase();
}

function withoutFlags(statement: Statement): Statement {
  readFlags(statement, {});
  return statement;
}

function wordsOf(body: string): string[] {
  return body === '' ? [] : body.split(/[\t\v\f\r ]+/);
}

function listOf(statement: Statement): string[] {
  return jsonWords(statement) ?? wordsOf(statement.body);
}

function atLeastOne(statement: Statement): string[] {
  const words = wordsOf(withoutFlags(statement).body);
  if (words.length === 0) throw tooFew(statement);
  return words;
}

function tooFew(statement: Statement): DockerfileProblem {
  return new DockerfileProblem(`${upperKeyword(statement)} requires at least one argument`);
}

function exactlyOne(statement: Statement): string {
  const { body } = withoutFlags(statement);
  if (body === '') throw new DockerfileProblem(`${upperKeyword(statement)} requires exactly one argument`);
  return body;
}

function readCommand(statement: Statement): CommandText {
  const { body } = statement;
  const exec = jsonWords(statement);
  if (exec !== undefined) return { words: exec, usesShell: false };
  return { words: body === '' ? [] : [body], usesShell: true };
}

const copyFlags: Record<string, FlagKind> = {
  chown: 'text',
  chmod: 'text',
  link: 'boolean',
  parents: 'boolean',
  exclude: 'list',
};
const flagsOf: Record<'add' | 'copy', Record<string, FlagKind>> = {
  copy: { ...copyFlags, from: 'text' },
  add: { ...copyFlags, checksum: 'text', 'keep-git-dir': 'boolean', unpack: 'boolean' },
};

function readCopy(kind: 'add' | 'copy', statement: Statement): Instruction {
  const words = listOf(statement);
  if (words.length < 2) {
    throw new DockerfileProblem(
      `${upperKeyword(statement)} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  }
  const destination = words.at(-1) ?? '';
  const given = words.slice(0, -1);
  const byWord = new Map(statement.heredocs.map((heredoc) => [heredoc.word, heredoc]));
  const heredocs = given.flatMap((word) => byWord.get(word) ?? []);
  if (heredocMark(destination, '\\') !== undefined && byWord.has(destination))
    throw new DockerfileProblem(`${upperKeyword(statement)} cannot accept a heredoc as a destination`);
  const flags = readFlags(statement, flagsOf[kind]);
  return {
    kind,
    statement,
    sources: given.filter((word) => !byWord.has(word)),
    heredocs,
    destination,
    from: flags.text('from'),
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    link: flags.boolean('link') ?? false,
    parents: flags.boolean('parents') ?? false,
    exclude: flags.list('exclude'),
    checksum: flags.text('checksum'),
    keepGitDir: flags.boolean('keep-git-dir'),
    unpack: flags.boolean('unpack'),
  };
}

function readRun(statement: Statement): Instruction {
  const flags = readFlags(statement, { mount: 'list', network: 'text', security: 'text', device: 'list' });
  if (flags.names.has('device')) throw new DockerfileProblem('RUN --device is not supported');
  const command = readCommand(statement);
  if (command.words.length === 0 && !command.usesShell)
    throw new DockerfileProblem('failed to marshal LLB definition: arguments are required', statement.lines);
  const network = flags.text('network');
  if (!['', 'default', 'none', 'host'].includes(network))
    throw new DockerfileProblem(
      `invalid network mode ${goQuote(network)}${didYouMean(network, ['default', 'none', 'host'])}`,
    );
  const security = flags.text('security');
  if (!['', 'sandbox', 'insecure'].includes(security))
    throw new DockerfileProblem(
      `security ${goQuote(security)} is not valid${didYouMean(security, ['sandbox', 'insecure'])}`,
    );
  return {
    kind: 'run',
    statement,
    command,
    heredocs: command.usesShell ? statement.heredocs : [],
    mounts: atLines(statement.lines, () => flags.list('mount').map(readMountText)),
    network,
    security,
  };
}

function readArg(statement: Statement, escape: string): InstructionOf<'arg'> {
  const words = splitWords(statement.body, escape);
  if (words.length === 0) throw tooFew(statement);
  const args = words.map((word): ArgText => {
    const equals = word.indexOf('=');
    if (equals === 0) throw new DockerfileProblem('ARG names can not be blank');
    const name = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    return { name, value, description: descriptionOf(statement, name) };
  });
  return { kind: 'arg', statement, args };
}

/** `# NAME what it is for`, the last such line of the comment. */
export function descriptionOf({ comments }: Statement, name: string): string {
  for (const line of comments.toReversed()) {
    if (name !== '' && line.toLowerCase().startsWith(`${name.toLowerCase()} `))
      return line.slice(name.length).trim();
  }
  return '';
}

/** `a=b c=d`, or the old `a b c` that sets one name to the rest of the line. */
function readPairs(kind: 'env' | 'label', statement: Statement, escape: string): Instruction {
  const { body } = withoutFlags(statement);
  const keyword = upperKeyword(statement);
  const words = splitWords(body, escape);
  const [first] = words;
  if (first === undefined) throw tooFew(statement);
  if (!first.includes('=')) {
    const [, key, value] = /^([^\t\v\f\r ]+)[\t\v\f\r ]+(.*)$/s.exec(body) ?? [];
    if (key === undefined || value === undefined)
      throw new DockerfileProblem(`${keyword} must have two arguments`, statement.lines);
    return { kind, statement, pairs: [{ key, value }], isLegacy: true };
  }
  const pairs = words.map((word): Pair => {
    const equals = word.indexOf('=');
    if (equals < 0) {
      throw new DockerfileProblem(
        `Syntax error - can't find = in ${goQuote(word)}. Must be of the form: name=value`,
        statement.lines,
      );
    }
    if (equals === 0) throw new DockerfileProblem(`${keyword} names can not be blank`);
    return { key: word.slice(0, equals), value: word.slice(equals + 1) };
  });
  return { kind, statement, pairs, isLegacy: false };
}

function readOnBuild(statement: Statement): Instruction {
  const { body, heredocs } = withoutFlags(statement);
  if (body === '') throw tooFew(statement);
  const [keyword = ''] = body.split(/\s/, 1);
  switch (keyword.toUpperCase()) {
    case 'ONBUILD':
      throw new DockerfileProblem("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    case 'MAINTAINER':
    case 'FROM':
      throw new DockerfileProblem(`${keyword.toUpperCase()} isn't allowed as an ONBUILD trigger`);
    default: {
      const documents = heredocs.map(({ content, name }) => `\n${content}${name}`);
      return { kind: 'onbuild', statement, trigger: [body, ...documents].join('') };
    }
  }
}

function readShell(statement: Statement): Instruction {
  const words = jsonWords(withoutFlags(statement));
  if (words === undefined) throw new DockerfileProblem('SHELL requires the arguments to be in JSON form');
  if (words.length === 0) throw new DockerfileProblem('SHELL requires at least one argument');
  return { kind: 'shell', statement, words };
}

function readVolume(statement: Statement): Instruction {
  const paths = listOf(withoutFlags(statement)).map((path) => path.trim());
  if (paths.length === 0) throw tooFew(statement);
  if (paths.includes('')) throw new DockerfileProblem('VOLUME specified can not be an empty string');
  return { kind: 'volume', statement, paths };
}
