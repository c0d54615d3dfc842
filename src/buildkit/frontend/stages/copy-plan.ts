// COPY and ADD (Dockerfile reference): where from, where to, as whom.

import { posix } from 'node:path';
import { goQuote } from '../../../go/quote';
import { hasWildcards } from '../../../go/path-match';
import { gitSource } from '../options/git-url';
import type { InstructionOf } from '../syntax/instruction';
import { DockerfileProblem } from '../text/problem';
import type { Heredoc } from '../text/statement';
import type { StageContext } from './stage-context';
import type { CopyPart, CopyStep, Origin } from './plan';

type Copy = InstructionOf<'add' | 'copy'>;

export class CopyPlanner {
  readonly #stage: StageContext;

  constructor(stage: StageContext) {
    this.#stage = stage;
  }

  plan(instruction: Copy): CopyStep {
    const stage = this.#stage;
    const expand = (word: string): string => stage.expand(word, instruction);
    const { kind, statement, heredocs, link, parents } = instruction;
    const shown = stage.shown(instruction);
    const sources = instruction.sources.map(expand);
    const destination = expand(instruction.destination);
    const chown = expand(instruction.chown);
    const chmod = expand(instruction.chmod);
    requireMode(chmod);
    const keyword = kind.toUpperCase();
    const origin = this.#origin(instruction);
    const parts = [
      ...sources.map((source) => this.#part(source, origin, instruction)),
      ...heredocs.map((heredoc) => this.#inline(heredoc, instruction)),
    ];
    if (instruction.checksum !== '' && parts.length !== 1)
      throw new DockerfileProblem("checksum can't be specified for multiple sources");
    const title = stage.titles.next(shown);
    const named = [...sources, ...heredocs.map(markOf), destination].join(' ');
    const owner = chown === '' ? '' : `--chown=${chown} `;
    const mode = chmod === '' ? '' : `--chmod=${chmod} `;
    stage.record(`${keyword} ${owner}${mode}${named} # buildkit`, { hasLayer: true });
    return {
      kind: 'copy',
      title,
      lines: statement.lines,
      ignoresCache: stage.ignoresCache,
      platform: stage.input.head.platform,
      parts,
      destination: this.#target(destination),
      chown,
      chmod,
      link,
      parents,
      exclude: instruction.exclude.map(expand),
    };
  }

  #origin({ from }: Copy): Origin {
    const { program, input } = this.#stage;
    if (from === '') return { kind: 'context' };
    if (from.includes('$')) {
      throw new DockerfileProblem(
        `variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround`,
      );
    }
    return program.usableOrigin(from, input.head.stage.index);
  }

  #target(destination: string): string {
    const isDirectory =
      /(?:^|\/)\.?$/.test(destination) || destination.endsWith('/..') || destination === '..';
    const path = this.#stage.absolute(destination === '' ? '.' : destination);
    return isDirectory && path !== '/' ? `${path}/` : path;
  }

  #part(source: string, origin: Origin, instruction: Copy): CopyPart {
    const { kind, checksum, keepGitDir, unpack } = instruction;
    if (kind === 'add') {
      const git = gitSource(source);
      if (git !== undefined) {
        if (unpack !== undefined) throw new DockerfileProblem('unpack flag is not supported for git sources');
        const { options } = this.#stage.program.settings;
        return { kind: 'git', url: git, keepGitDir: keepGitDir ?? options.keepsGitDir, checksum };
      }
      if (/^https?:\/\//.test(source)) {
        const filename = filenameOf(source);
        return {
          kind: 'http',
          url: source,
          filename,
          checksum: checksumOf(checksum),
          unpack: unpack === true,
        };
      }
      if (checksumOf(checksum) !== '')
        throw new DockerfileProblem("checksum can't be specified for non-HTTP sources");
    }
    if (origin.kind === 'context') this.#reportIgnored(source, instruction);
    return {
      kind: 'files',
      origin,
      path: sourcePath(source, instruction.parents),
      unpack: kind === 'add' && unpack !== false,
    };
  }

  #inline(heredoc: Heredoc, instruction: Copy): CopyPart {
    const content = heredoc.expands
      ? this.#stage.expand(heredoc.content, instruction, { ignoresQuotes: true })
      : heredoc.content;
    return { kind: 'inline', file: { name: heredoc.name, content } };
  }

  #reportIgnored(source: string, { statement, kind }: Copy): void {
    const { isIgnored } = this.#stage.input;
    const path = posix.resolve('/', source).slice(1);
    if (isIgnored === undefined || path === '' || hasWildcards(path) || !isIgnored(path)) return;
    const verb = kind === 'add' ? 'Add' : 'Copy';
    this.#stage.linter.report(
      'CopyIgnoredFile',
      statement.lines,
      `Attempting to ${verb} file ${goQuote(source)} that is excluded by .dockerignore`,
    );
  }
}

function markOf({ name, stripsTabs, descriptor }: Heredoc): string {
  return `${descriptor}<<${stripsTabs ? '-' : ''}${name}`;
}

/** Below the root. With `--parents`, `/./` stays where it is: what is before it is not kept. */
function sourcePath(source: string, hasParents: boolean): string {
  const pivot = hasParents ? source.indexOf('/./') : -1;
  if (pivot >= 0) {
    const before = posix.resolve('/', source.slice(0, pivot));
    const after = posix.resolve('/', source.slice(pivot + 2));
    return `${before === '/' ? '' : before}/.${after}`;
  }
  return posix.resolve('/', source === '' ? '.' : source);
}

function filenameOf(url: string): string {
  let path = '';
  try {
    path = decodeURIComponent(new URL(url).pathname);
  } catch {
    throw new DockerfileProblem(`invalid url ${goQuote(url)}`);
  }
  const name = posix.basename(path);
  return name === '' || name === '.' || name === '..' ? '__unnamed__' : name;
}

function checksumOf(text: string): string {
  if (text === '' || /^sha256:[0-9a-f]{64}$/.test(text)) return text;
  const reason = text.startsWith('sha256:')
    ? 'invalid checksum digest length'
    : /^[a-z0-9]+:/.test(text)
      ? 'unsupported digest algorithm'
      : 'invalid checksum digest format';
  throw new DockerfileProblem(reason);
}

function requireMode(chmod: string): void {
  if (chmod === '') return;
  const isOctal = /^0?[0-7]{1,4}$/.test(chmod);
  const isSymbolic =
    /^(?:[ugoa]*[-+=][rwxXstugo]*)(?:[-+=][rwxXstugo]*)*(?:,[ugoa]*(?:[-+=][rwxXstugo]*)+)*$/.test(chmod);
  if (!isOctal && !isSymbolic) {
    throw new DockerfileProblem(
      `invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`,
    );
  }
}
