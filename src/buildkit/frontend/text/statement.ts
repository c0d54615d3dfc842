// A Dockerfile's instructions as they stand in the text: which lines, which words before the arguments, which here-documents.

import type { Range } from '../../contract/llb';

/** Lines, both included, from 1. */
export interface Lines {
  readonly first: number;
  readonly last: number;
}

/** `<<NAME` and the lines behind it. */
export interface Heredoc {
  readonly name: string;
  /** The word as it stands in its instruction: `<<-"NAME"`. */
  readonly word: string;
  /** '' where none is named. */
  readonly descriptor: string;
  /** False where the name is quoted: nothing is put in. */
  readonly expands: boolean;
  /** `<<-`: tabs at the beginnings of lines are gone. */
  readonly stripsTabs: boolean;
  /** Its first line names an interpreter, before tabs are gone. */
  readonly isScript: boolean;
  /** Each line with its end; without the terminator. */
  readonly content: string;
}

export interface Statement {
  /** As it was written. */
  readonly keyword: string;
  /** `--name=value`, without quotes. */
  readonly flags: readonly string[];
  /** What follows keyword and flags. */
  readonly body: string;
  /** The whole instruction with its lines joined, without here-documents. */
  readonly original: string;
  readonly lines: Lines;
  readonly heredocs: readonly Heredoc[];
  /** The lines of comment directly above, without `#`. */
  readonly comments: readonly string[];
}

/** As LLB has them: one for each line. */
export function rangesOf({ first, last }: Lines): Range[] {
  return Array.from({ length: last - first + 1 }, (_unused, i) => {
    const position = { line: first + i, character: 0 };
    return { start: position, end: position };
  });
}
