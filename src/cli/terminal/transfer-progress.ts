// The progress of a pull or load, from the lines that Docker's API sends: a bar for each layer, on a terminal.

import { decimalSize } from '../../go/size-text';
import { Block, type BlockStream } from './block';
import { paletteOf, printable, type Palette } from './style';

export interface ProgressLine {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
}

interface Layer {
  status: string;
  current: number;
  total: number;
}

const barCells = 24;
const finished = /^(Pull complete|Already exists|Loaded|Layer already exists)/;

export class TransferProgress {
  readonly #block: Block;
  readonly #palette: Palette;
  readonly #stream: BlockStream;
  readonly #layers = new Map<string, Layer>();

  constructor(stream: BlockStream) {
    this.#stream = stream;
    this.#block = new Block(stream);
    this.#palette = paletteOf(stream);
  }

  /** Takes a line of the API's. What is wrong is told by who asked, at the end. */
  take({ id, status = '', progressDetail = {}, error }: ProgressLine): void {
    if (error !== undefined) return;
    const { current = 0, total = 0 } = progressDetail;
    if (id === undefined || status.startsWith('Pulling from')) {
      this.#say(printable(id === undefined ? status : `${id}: ${status}`));
      return;
    }
    const before = this.#layers.get(id);
    this.#layers.set(id, { status, current, total });
    if (this.#block.isShown) this.#block.update(this.#lines());
    // without a screen: each step once, no matter how far it is
    else if (before?.status !== status && total === 0)
      this.#stream.write(`${printable(`${id}: ${status}`)}\n`);
  }

  /** What is shown stays. */
  end(): void {
    if (this.#block.isShown) this.#block.update(this.#lines());
    this.#block.end();
    this.#layers.clear();
  }

  #say(text: string): void {
    if (text !== '') this.#block.print(text);
  }

  #lines(): string[] {
    const all = [...this.#layers];
    // what goes on first, where not all fit
    const room = Math.min(this.#block.rows - 1, all.length);
    const isDone = ([, { status }]: [string, Layer]): boolean => finished.test(status);
    const chosen =
      all.length <= room
        ? all
        : [...all.filter((layer) => !isDone(layer)), ...all.filter(isDone)].slice(0, room);
    const lines = chosen.map(([id, layer]) => this.#line(printable(id), layer));
    if (all.length > room)
      lines.push(this.#palette.faint(`${all.filter(isDone).length} of ${all.length} layers done`));
    return lines;
  }

  #line(id: string, { status, current, total }: Layer): string {
    const { good, faint } = this.#palette;
    const name = id.slice(0, 12).padEnd(12);
    const text = printable(status);
    if (total <= 0)
      return fit(`${name}  `, finished.test(status) ? good(text) : text, text.length, this.#block.columns);
    const numbers = `${decimalSize(current)}/${decimalSize(total)}`;
    return this.#block.columns < 60
      ? `${name}  ${numbers}`
      : `${name}  ${text.slice(0, 18).padEnd(18)}  ${bar(current / total, faint)}  ${numbers}`;
  }
}

/** `painted` has the width of `width` characters; what does not fit is left out, and its colour with it. */
function fit(head: string, painted: string, width: number, columns: number): string {
  return head.length + width < columns ? head + painted : head;
}

/** `fraction` from 0 to 1. */
export function bar(fraction: number, faint: (text: string) => string, cells = barCells): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * cells);
  return `${'━'.repeat(full)}${faint('─'.repeat(cells - full))}`;
}
