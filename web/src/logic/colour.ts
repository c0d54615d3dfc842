// Colours that a program asks for by number, made readable on what they stand on.

export type Rgb = readonly [red: number, green: number, blue: number];

/** Where logs are shown, in either look of the page (styles.css). */
export const logBackground: Rgb = [14, 21, 24];
export const logText: Rgb = [220, 230, 232];
/** Of text, by WCAG AA. */
const leastContrast = 4.5;

const cube = [0, 95, 135, 175, 215, 255] as const;

/** Of a palette of 256, from 16 on; those before it have names of their own. */
export function paletteColour(index: number): Rgb {
  if (index >= 232) {
    const grey = 8 + 10 * (Math.min(index, 255) - 232);
    return [grey, grey, grey];
  }
  const at = Math.max(0, index - 16);
  const level = (step: number): number => cube[Math.floor(at / step) % 6] ?? 0;
  return [level(36), level(6), level(1)];
}

/** `text` as near to itself as it can be read on `on`. */
export function readable(text: Rgb, on: Rgb): Rgb {
  const goal = luminance(on) > 0.18 ? 0 : 255;
  for (let share = 0; share < 1; share += 0.1) {
    const mixed = text.map((part) => Math.round(part + (goal - part) * share)) as unknown as Rgb; // three of three
    if (contrast(mixed, on) >= leastContrast) return mixed;
  }
  return [goal, goal, goal];
}

export function contrast(one: Rgb, other: Rgb): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

/** WCAG's relative luminance, 0 to 1. */
function luminance([red, green, blue]: Rgb): number {
  const linear = (part: number): number => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

export function cssOf(colour: Rgb): string {
  return `rgb(${colour.join(' ')})`;
}
