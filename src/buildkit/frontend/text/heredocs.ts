// Here-documents (Dockerfile reference, "Here-Documents"): words `<<NAME` of RUN, COPY and ADD.

import { splitWords } from '../../../dockerfile/words';
import type { Heredoc } from './statement';

export type HeredocMark = Omit<Heredoc, 'content' | 'isScript'>;

const takers = ['add', 'copy', 'run'];
const markPattern = /^(\d*)<<(-?)([^<\s]+)$/;

/** The marks of an instruction in their order. */
export function heredocMarks(instruction: string, escape: string): HeredocMark[] {
  if (!instruction.includes('<<') || !takesHeredocs(instruction)) return [];
  return splitWords(instruction, escape).flatMap((word) => heredocMark(word, escape) ?? []);
}

function takesHeredocs(instruction: string): boolean {
  const [first = '', second = ''] = instruction.trimStart().split(/\s+/, 2);
  const keyword = first.toLowerCase() === 'onbuild' ? second : first;
  return takers.includes(keyword.toLowerCase());
}

/** Undefined where the word is none. */
export function heredocMark(word: string, escape: string): HeredocMark | undefined {
  const [all, descriptor = '', dash = '', quoted = ''] = markPattern.exec(word) ?? [];
  if (all === undefined) return undefined;
  const name = unquoted(quoted, escape);
  if (name === undefined || name === '') return undefined;
  return { name, word, descriptor, expands: name === quoted, stripsTabs: dash !== '' };
}

/** Undefined where a quote has no end. */
function unquoted(text: string, escape: string): string | undefined {
  let result = '';
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (quote !== "'" && char === escape) {
      at += 1;
      result += text.charAt(at);
    } else result += char;
  }
  return quote === '' ? result : undefined;
}

/** Collects the lines of one. */
export class HeredocReader {
  readonly #mark: HeredocMark;
  readonly #content: string[] = [];
  #isScript = false;

  constructor(mark: HeredocMark) {
    this.#mark = mark;
  }

  /** Whether the line, which has no end, was the terminator. */
  take(line: string): boolean {
    const kept = this.#mark.stripsTabs ? line.replace(/^\t+/, '') : line;
    if (kept === this.#mark.name) return true;
    if (this.#content.length === 0) this.#isScript = line.startsWith('#!');
    this.#content.push(kept, '\n');
    return false;
  }

  finish(): Heredoc {
    return { ...this.#mark, isScript: this.#isScript, content: this.#content.join('') };
  }
}
