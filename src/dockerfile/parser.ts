// dockerfile/: a Dockerfile as text: words, lines, typed instructions; no I/O.
//
// A Dockerfile as lines of instructions: parser directives, continued lines, comments, flags. What is valid, and the
// words for what is not, are those of dockerd 20.10's classic builder.

import { invalid } from '../errors';
import { isSpace } from './words';

/** One instruction: its keyword in lower case, its flags and the rest of its line. */
export interface InstructionLine {
  keyword: string;
  flags: string[];
  /** What follows keyword and flags. */
  rest: string;
  /** The whole line with its continuations joined: what `Step n/m` shows. */
  original: string;
  /** 1-based. */
  lineNumber: number;
}

export interface ParsedDockerfile {
  lines: InstructionLine[];
  escape: string;
  /** For the client's stderr. */
  warnings: string[];
}

const maxLineBytes = 65_535;

/** Throws InvalidParameter in Docker's words, without the name of the file. */
export function parseDockerfile(text: string): ParsedDockerfile {
  const source = text.replace(/^\ufeff/, '').split(/\r?\n/);
  if (source.at(-1) === '') source.pop();
  const directives = new Directives();
  const lines: InstructionLine[] = [];
  const warnings: string[] = [];
  for (let i = 0; i < source.length; i += 1) {
    const first = lineAt(source, i).replace(/^[^\S\ufeff]+/, '');
    directives.look(first);
    const lineNumber = i + 1;
    let { line, continues } = joinable(withoutComment(first), directives.escape);
    if (!continues && line === '') continue;
    let hasEmptyLine = false;
    while (continues && i + 1 < source.length) {
      i += 1;
      const next = lineAt(source, i);
      directives.look(next);
      if (/^\s*#/.test(next)) continue;
      if (trimSpace(next) === '') {
        hasEmptyLine = true;
        continue;
      }
      const part = joinable(next, directives.escape);
      continues = part.continues;
      line += part.line;
    }
    if (hasEmptyLine) warnings.push(`[WARNING]: Empty continuation line found in:\n    ${line}`);
    lines.push(parseLine(line, lineNumber));
  }
  if (lines.length === 0) throw invalid('file with no instructions');
  if (warnings.length > 0) {
    warnings.push('[WARNING]: Empty continuation lines will become errors in a future release.');
  }
  return { lines, escape: directives.escape, warnings };
}

/** Splits one instruction, such as an ONBUILD trigger. */
export function parseLine(line: string, lineNumber: number): InstructionLine {
  const [, word = '', rest = ''] = /^([^\t\v\f\r ]*)[\t\v\f\r ]*(.*)$/s.exec(trimSpace(line)) ?? [];
  const { flags, text } = takeFlags(rest);
  return { keyword: word.toLowerCase(), flags, rest: trimSpace(text), original: line, lineNumber };
}

/** As Go's strings.TrimSpace. */
export function trimSpace(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text.charAt(start))) start += 1;
  while (end > start && isSpace(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function lineAt(source: readonly string[], index: number): string {
  const line = source[index] ?? '';
  if (line.length > maxLineBytes || Buffer.byteLength(line) > maxLineBytes) {
    throw invalid(`dockerfile line greater than max allowed size of ${maxLineBytes}`);
  }
  return line;
}

function withoutComment(line: string): string {
  return line.startsWith('#') ? '' : line;
}

/** The line without its continuation mark, if it has one: an escape at its end that is not escaped itself. */
function joinable(line: string, escape: string): { line: string; continues: boolean } {
  let end = line.length;
  while (end > 0 && ' \t'.includes(line.charAt(end - 1))) end -= 1;
  const trimmed = line.slice(0, end);
  const isMark = trimmed.endsWith(escape) && (trimmed.length === 1 || trimmed.at(-2) !== escape);
  return isMark ? { line: trimmed.slice(0, -1), continues: true } : { line, continues: false };
}

/** `# escape=` and `# syntax=`, which only count before everything else. */
class Directives {
  escape = '\\';
  readonly #seen = new Set<string>();
  #done = false;

  look(line: string): void {
    if (this.#done) return;
    const [, name = '', value = ''] = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)$/s.exec(line.trimEnd()) ?? [];
    const directive = name.toLowerCase();
    if (directive !== 'escape' && directive !== 'syntax') {
      this.#done = true;
      return;
    }
    if (this.#seen.has(directive)) throw invalid(`only one ${directive} parser directive can be used`);
    this.#seen.add(directive);
    if (directive !== 'escape') return;
    if (value !== '`' && value !== '\\') {
      throw invalid(`invalid escape token '${value}' does not match \` or \\`);
    }
    this.escape = value;
  }
}

/** The words before the arguments that begin with two dashes. */
function takeFlags(line: string): { flags: string[]; text: string } {
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (isSpace(line.charAt(at))) at += 1;
    if (!line.startsWith('--', at)) return { flags, text: line.slice(at) };
    const { word, end } = takeWord(line, at);
    at = end;
    if (word === '--') return { flags, text: line.slice(at) };
    flags.push(word);
  }
}

function takeWord(line: string, start: number): { word: string; end: number } {
  let word = '';
  let quote = '';
  let at = start;
  for (; at < line.length; at += 1) {
    let char = line.charAt(at);
    if (quote === '' && isSpace(char)) break;
    if (char === quote) {
      quote = '';
      continue;
    }
    if (quote === '' && (char === '"' || char === "'")) {
      quote = char;
      continue;
    }
    if (char === '\\') {
      at += 1;
      char = line.charAt(at);
    }
    word += char;
  }
  return { word, end: at };
}
