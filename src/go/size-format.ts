// Sizes as Go's docker/go-units reads them: "10k", "1.5 MB", "64MiB".

const decimalFactors: Record<string, number> = { k: 1e3, m: 1e6, g: 1e9, t: 1e12, p: 1e15 };
const binaryFactors: Record<string, number> = {
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
};

function parseSize(text: string, factors: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)*) ?([kKmMgGtTpP])?[iI]?[bB]?$/.exec(text);
  const value = Number(match?.[1]);
  if (match === null || Number.isNaN(value)) return undefined;
  const unit = match[2]?.toLowerCase();
  return Math.trunc(value * (unit === undefined ? 1 : (factors[unit] ?? 1)));
}

/** Bytes of a size whose `k` is 1000, as the log drivers' max-size; undefined if it is none. */
export function parseHumanSize(text: string): number | undefined {
  return parseSize(text, decimalFactors);
}

/** Bytes of a size whose `k` is 1024, as memory limits; undefined if it is none. */
export function parseRamSize(text: string): number | undefined {
  return parseSize(text, binaryFactors);
}
