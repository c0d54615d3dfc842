// Sizes for people, as docker prints them: four significant digits.

/** With decimal units, as Go's units.HumanSize: 1.5GB. */
export function decimalSize(bytes: number): string {
  return sizeText(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
}

/** With binary units, as docker has sizes of memory: 1.5GiB. */
export function binarySize(bytes: number): string {
  return sizeText(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);
}

function sizeText(bytes: number, base: number, units: readonly string[]): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${units[unit] ?? ''}`;
}
