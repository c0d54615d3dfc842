// Where lines are when they are broken at the window's width: letters are of one width, and a line breaks at any of them.

import { plainText } from './ansi';
import type { LogEntry } from './log-buffer';

export interface WrappedLines {
  /** Rows of all lines. */
  readonly total: number;
  /** The line that has this row; the last one past the end. */
  lineAt(row: number): number;
  /** The first row of a line. */
  rowOf(line: number): number;
}

class Layout implements WrappedLines {
  readonly columns: number;
  readonly #lines: readonly LogEntry[];
  /** Of each line the row after it. */
  readonly #ends: number[];

  constructor(columns: number, ends: number[], lines: readonly LogEntry[]) {
    this.columns = columns;
    this.#ends = ends;
    this.#lines = lines;
  }

  get total(): number {
    return this.#ends.at(-1) ?? 0;
  }

  lineAt(row: number): number {
    let [low, high] = [0, this.#ends.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) > row) high = middle;
      else low = middle + 1;
    }
    return Math.max(0, low);
  }

  rowOf(line: number): number {
    return line === 0 ? 0 : (this.#ends[line - 1] ?? this.total);
  }

  /** What is known of these lines, if they are the same list, to which only lines at its end were added. */
  startOf(lines: readonly LogEntry[], columns: number): number[] {
    return columns === this.columns && lines === this.#lines ? this.#ends : [];
  }
}

/** `before`: the layout of a moment ago, which is gone on with where the list is the same one. A list only grows. */
export function wrapped(lines: readonly LogEntry[], columns: number, before?: WrappedLines): WrappedLines {
  const ends = before instanceof Layout ? before.startOf(lines, columns) : [];
  let row = ends.at(-1) ?? 0;
  for (let index = ends.length; index < lines.length; index++) {
    row += Math.max(1, Math.ceil(widthOf(plainText(lines[index]?.text ?? '')) / columns));
    ends.push(row);
  }
  return new Layout(columns, ends, lines);
}

/** East Asian letters and emoji take two columns, tabs up to eight. */
function widthOf(text: string): number {
  if (/^[\u0000-\u0008\u000a-\u024f]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\t') width += 8 - (width % 8);
    else if (/\p{M}/u.test(character)) continue;
    else
      width +=
        code >= 0x1100 &&
        /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\uff00-\uff60]/u.test(
          character,
        )
          ? 2
          : 1;
  }
  return width;
}
