// Some lines at the bottom of the screen that are written over again and again; other output goes above them.

import { isScreen } from './style';

export interface BlockStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

/** A terminal can't show more changes than this to a person. */
const redrawMs = 80;

export class Block {
  readonly #stream: BlockStream;
  readonly #isShown: boolean;
  #lines: readonly string[] = [];
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: BlockStream) {
    this.#stream = stream;
    this.#isShown = isScreen(stream);
  }

  get isShown(): boolean {
    return this.#isShown;
  }

  get columns(): number {
    return this.#stream.columns ?? 80;
  }

  /** How many lines there can be without scrolling. */
  get rows(): number {
    return Math.max(1, (this.#stream.rows ?? 24) - 1);
  }

  /** What the lines are now; each fits into a row. Drawn soon, with what else changes until then. */
  update(lines: readonly string[]): void {
    if (!this.#isShown) return;
    this.#lines = lines;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#draw();
    }, redrawMs);
  }

  /** A line that stays. */
  print(line: string): void {
    this.#stream.write(`${this.#erasure()}${line}\n`);
    this.#drawn = 0;
    if (this.#lines.length > 0) this.#draw();
  }

  /** The lines stay as they are, or go. */
  end({ erase = false }: { erase?: boolean } = {}): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isShown) return;
    if (erase) this.#lines = [];
    this.#draw();
    this.#lines = [];
    this.#drawn = 0;
  }

  #draw(): void {
    const text = this.#lines.map((line) => `${line}\n`).join('');
    if (text !== '' || this.#drawn > 0) this.#stream.write(`${this.#erasure()}${text}`);
    this.#drawn = this.#lines.length;
  }

  /** Back to the first line, and everything below it is empty. */
  #erasure(): string {
    return this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\u001b[J`;
  }
}
