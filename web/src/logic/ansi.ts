// Escape sequences of terminals in log lines: colours and weights become classes and styles, everything else is left out.

import { cssOf, logBackground, logText, paletteColour, readable, type Rgb } from './colour';

export interface Segment {
  text: string;
  /** Of styles.css: `fg3`, `bg1`, `bold` … */
  classes: string;
  /** Of colours that have no class. */
  style?: { color: string; backgroundColor?: string };
}

const sequence =
  /\u001b\[([\d;:]*)([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\^_a-z]|[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f]/g;

interface Style {
  fg: string | Rgb;
  bg: string | Rgb;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}
const plain: Style = { fg: '', bg: '', bold: false, dim: false, italic: false, underline: false };

/** A line as it is shown: of what was overwritten by `\r` the last. */
export function segments(line: string): Segment[] {
  const text = lastOverwrite(line);
  if (!text.includes('\u001b')) return [{ text: withoutControls(text), classes: '' }];
  const found: Segment[] = [];
  let style = plain;
  let at = 0;
  const push = (until: number): void => {
    if (until === at) return;
    const looks = looksOf(style);
    found.push({ text: text.slice(at, until), classes: classesOf(style), ...(looks && { style: looks }) });
  };
  for (const match of text.matchAll(sequence)) {
    push(match.index);
    at = match.index + match[0].length;
    if (match[2] === 'm') style = styled(style, match[1] ?? '');
  }
  push(text.length);
  return found.length === 0 ? [{ text: '', classes: '' }] : found;
}

/** For searching and copying. */
export function plainText(line: string): string {
  return withoutControls(lastOverwrite(line));
}

function lastOverwrite(line: string): string {
  if (!line.includes('\r')) return line;
  const whole = line.replace(/\r+$/, '');
  return whole.slice(whole.lastIndexOf('\r') + 1);
}

function withoutControls(text: string): string {
  return text.replace(sequence, '');
}

function classesOf({ fg, bg, bold, dim, italic, underline }: Style): string {
  return [
    typeof fg === 'string' && fg,
    typeof bg === 'string' && bg,
    bold && 'bold',
    dim && 'dim',
    italic && 'italic',
    underline && 'underline',
  ]
    .filter(Boolean)
    .join(' ');
}

/** Undefined where classes say it all. */
function looksOf({ fg, bg }: Style): Segment['style'] {
  if (typeof bg !== 'string')
    return { color: cssOf(readable(typeof fg === 'string' ? logText : fg, bg)), backgroundColor: cssOf(bg) };
  return typeof fg === 'string' ? undefined : { color: cssOf(readable(fg, logBackground)) };
}

function styled(before: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map(Number);
  let style = { ...before };
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] ?? 0;
    if (code === 0) style = { ...plain };
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 22) [style.bold, style.dim] = [false, false];
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code >= 30 && code <= 37) style.fg = `fg${code - 30}`;
    else if (code === 39) style.fg = '';
    else if (code >= 40 && code <= 47) style.bg = `bg${code - 40}`;
    else if (code === 49) style.bg = '';
    else if (code >= 90 && code <= 97) style.fg = `fg${code - 82}`;
    else if (code >= 100 && code <= 107) style.bg = `bg${code - 92}`;
    else if (code === 38 || code === 48) {
      const isPalette = codes[index + 1] === 5;
      const numbers = codes.slice(index + 2, index + (isPalette ? 3 : 5));
      const name = code === 38 ? 'fg' : 'bg';
      const colour = colourOf(numbers);
      if (colour !== undefined) style[name] = typeof colour === 'number' ? `${name}${colour}` : colour;
      index += isPalette ? 2 : 4;
    }
  }
  return style;
}

/** One number of a palette, of which the first sixteen have classes, or three of a colour. Undefined for what is none. */
function colourOf([first = 0, green, blue]: readonly number[]): Rgb | number | undefined {
  const isByte = (number: number): boolean => Number.isInteger(number) && number >= 0 && number <= 255;
  if (![first, green ?? 0, blue ?? 0].every(isByte)) return undefined;
  if (green === undefined) return first < 16 ? first : paletteColour(first);
  return [first, green, blue ?? 0];
}
