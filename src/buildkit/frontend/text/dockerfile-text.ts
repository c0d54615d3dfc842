// A Dockerfile's text into statements: directives, comments, continued lines, here-documents. What an instruction means is not
// known here.

import { isSpace } from '../../../dockerfile/words';
import { trimSpace } from '../../../dockerfile/parser';
import { Directives, type Directive } from './directives';
import { heredocMarks, HeredocReader } from './heredocs';
import { DockerfileProblem, parseProblem } from './problem';
import type { Heredoc, Lines, Statement } from './statement';

export interface DockerfileText {
  readonly statements: readonly Statement[];
  readonly escape: string;
  readonly check: Directive | undefined;
  /** Instructions that have an empty line within. */
  readonly emptyContinuations: readonly Lines[];
}

export const maxLineBytes = 65_535;
/** Of a file. */
export const maxBytes = 4 * 1024 * 1024;
const maxStatements = 20_000;

/** Throws DockerfileProblem in BuildKit's words. */
export function readDockerfile(text: string): DockerfileText {
  return new Reader(text).read();
}

/** A single instruction, as an image keeps them for ONBUILD; it may have here-documents. */
export function readTrigger(text: string, lines: Lines): Statement {
  const { statements } = new Reader(text, { isTrigger: true }).read();
  const [statement] = statements;
  if (statement === undefined || statements.length > 1)
    throw new DockerfileProblem('onbuild trigger should be a single expression', lines);
  return { ...statement, lines };
}

class Reader {
  readonly #lines: readonly string[];
  readonly #directives = new Directives();
  readonly #isTrigger: boolean;
  readonly #statements: Statement[] = [];
  readonly #emptyContinuations: Lines[] = [];
  #comments: string[] = [];
  #at = 0;

  constructor(text: string, { isTrigger = false } = {}) {
    if (text.length > maxBytes) throw new DockerfileProblem(`dockerfile larger than ${maxBytes} bytes`);
    this.#lines = text.replace(/^\ufeff/, '').split('\n');
    this.#isTrigger = isTrigger;
  }

  read(): DockerfileText {
    while (this.#at < this.#lines.length) this.#readOne();
    if (this.#statements.length === 0) throw new DockerfileProblem('file with no instructions');
    return {
      statements: this.#statements,
      escape: this.#directives.escape,
      check: this.#directives.get('check'),
      emptyContinuations: this.#emptyContinuations,
    };
  }

  #readOne(): void {
    const number = this.#at + 1;
    const line = withoutIndent(this.#next());
    if (!this.#isTrigger && this.#directives.look(line, number)) return;
    if (line.startsWith('#')) {
      this.#comments.push(line.slice(1).trim());
      return;
    }
    if (trimSpace(line) === '') {
      this.#comments = [];
      return;
    }
    const joined = this.#joined(line, number);
    // only a continuation mark, and nothing behind it
    if (trimSpace(joined) === '') return;
    const heredocs = this.#heredocs(joined, number);
    const lines = { first: number, last: this.#at };
    if (this.#statements.length >= maxStatements)
      throw parseProblem(lines, new Error(`more than ${maxStatements} instructions`));
    this.#statements.push({ ...partsOf(joined), lines, heredocs, comments: this.#comments });
    this.#comments = [];
  }

  /** With the lines that it is continued in. */
  #joined(first: string, number: number): string {
    let { text, continues } = continuation(first, this.#directives.escape);
    const parts = [text];
    let hasEmptyLine = false;
    while (continues && this.#at < this.#lines.length) {
      const next = this.#next();
      if (/^[ \t]*#/.test(next)) continue;
      if (trimSpace(next) === '') {
        // what ends the file is no line
        hasEmptyLine ||= this.#at < this.#lines.length;
        continue;
      }
      ({ text, continues } = continuation(next, this.#directives.escape));
      parts.push(text);
    }
    if (hasEmptyLine) this.#emptyContinuations.push({ first: number, last: this.#at });
    return parts.join('');
  }

  #heredocs(instruction: string, number: number): Heredoc[] {
    return heredocMarks(instruction, this.#directives.escape).map((mark) => {
      const reader = new HeredocReader(mark);
      while (this.#at < this.#lines.length) if (reader.take(this.#next())) return reader.finish();
      throw new DockerfileProblem('unterminated heredoc', { first: number, last: this.#lines.length });
    });
  }

  #next(): string {
    const line = this.#lines[this.#at] ?? '';
    this.#at += 1;
    if (line.length > maxLineBytes || Buffer.byteLength(line) > maxLineBytes) {
      const reason = `dockerfile line greater than max allowed size of ${maxLineBytes}`;
      throw new DockerfileProblem(reason, { first: this.#at, last: this.#at });
    }
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}

function withoutIndent(line: string): string {
  let at = 0;
  while (at < line.length && isSpace(line.charAt(at))) at += 1;
  return line.slice(at);
}

/** The line without its continuation mark, if it has one: an escape at its end that is not escaped itself. */
function continuation(line: string, escape: string): { text: string; continues: boolean } {
  let end = line.length;
  while (end > 0 && ' \t'.includes(line.charAt(end - 1))) end -= 1;
  const isMark = end > 0 && line.charAt(end - 1) === escape && (end === 1 || line.charAt(end - 2) !== escape);
  return isMark ? { text: line.slice(0, end - 1), continues: true } : { text: line, continues: false };
}

function partsOf(joined: string): Pick<Statement, 'keyword' | 'flags' | 'body' | 'original'> {
  const original = trimSpace(joined);
  let end = 0;
  while (end < original.length && !isSpace(original.charAt(end))) end += 1;
  const { flags, body } = takeFlags(original, end);
  return { keyword: original.slice(0, end), flags, body, original };
}

/** The words behind the keyword that begin with two dashes; `--` ends them. */
function takeFlags(text: string, start: number): { flags: string[]; body: string } {
  const flags: string[] = [];
  let at = start;
  for (;;) {
    while (at < text.length && isSpace(text.charAt(at))) at += 1;
    if (!text.startsWith('--', at)) return { flags, body: trimSpace(text.slice(at)) };
    const { word, end } = takeWord(text, at);
    at = end;
    if (word === '--') return { flags, body: trimSpace(text.slice(at)) };
    flags.push(word);
  }
}

/** Without its quotes; a backslash takes the next character as it is. */
function takeWord(text: string, start: number): { word: string; end: number } {
  const word: string[] = [];
  let quote = '';
  let at = start;
  for (; at < text.length; at += 1) {
    let char = text.charAt(at);
    if (quote === '' && isSpace(char)) break;
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else {
      if (char === '\\') {
        at += 1;
        char = text.charAt(at);
      }
      word.push(char);
    }
  }
  return { word: word.join(''), end: at };
}
