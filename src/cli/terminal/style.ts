// terminal/: what people see: colours, progress, a table that lives. Nothing of it where output is no terminal.
//
// Colours by https://no-color.org: none with NO_COLOR, none on a terminal that can't, none where nobody looks.

export interface Screen {
  readonly isTTY?: boolean | undefined;
}

export type Paint = (text: string) => string;

export interface Palette {
  good: Paint;
  bad: Paint;
  doubtful: Paint;
  faint: Paint;
  strong: Paint;
}

const plain: Paint = (text) => text;
const painted =
  (code: number, end: number): Paint =>
  (text) =>
    `\u001b[${code}m${text}\u001b[${end}m`;

/** May control sequences be written there? */
export function isScreen(stream: Screen, environment: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

export function paletteOf(stream: Screen, environment: NodeJS.ProcessEnv = process.env): Palette {
  const noColor = (environment['NO_COLOR'] ?? '') !== '';
  if (noColor || !isScreen(stream, environment))
    return { good: plain, bad: plain, doubtful: plain, faint: plain, strong: plain };
  return {
    good: painted(32, 39),
    bad: painted(31, 39),
    doubtful: painted(33, 39),
    faint: painted(2, 22),
    strong: painted(1, 22),
  };
}

/** What came from elsewhere must not drive the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

/** The text without control sequences, which have no width. */
export function withoutStyle(text: string): string {
  return text.replaceAll(/\u001b\[[\d;]*m/g, '');
}
