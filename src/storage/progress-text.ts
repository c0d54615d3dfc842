// The bar that old clients print as it is: `[=====>     ]  1.5MB/20MB`.

const barWidth = 50;
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Docker's text form of a progress. Without a total: only the amount. */
export function progressText({ current, total }: { current: number; total: number }): string {
  const amount = humanSize(current).padStart(8);
  if (total <= 0) return amount;
  const percent = Math.floor((current / total) * 100);
  const done = Math.min(barWidth, Math.floor(percent / 2));
  const bar = `[${'='.repeat(done)}>${' '.repeat(barWidth - done)}] `;
  return bar + (current > total ? amount : `${amount}/${humanSize(total)}`);
}

/** Four significant digits with decimal units, as Go's units.HumanSize. */
function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${units[unit] ?? ''}`;
}
