// Sizes as people write them, binary units whatever their form: `64m`, `1.5GiB`.

const units = ['', 'k', 'm', 'g', 't', 'p'];

/** Bytes; undefined if it is no size. */
export function parseSizeText(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,15}(?:\.\d{0,9})?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const bytes = Math.floor(Number(number) * 1024 ** units.indexOf(unit.toLowerCase()));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
