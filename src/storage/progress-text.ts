// The bar that old clients print as it is: `[=====>     ]  1.5MB/20MB`.

const barWidth = 50;
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Docker's text form of a progress. Without a total: only the amount. */
export function progressText(detail: { current: number; total: number }): string {
  const current = humanSize(detail.current);
  if (detail.total <= 0) return current;
  const done = Math.min(barWidth, Math.floor((detail.current / detail.total) * barWidth));
  const head = done < barWidth ? '>' : '';
  const bar = `${'='.repeat(done)}${head}`.padEnd(barWidth, ' ');
  const both = `${current}/${humanSize(detail.total)}`;
  return `[${bar.slice(0, barWidth)}${done === barWidth ? '>' : ''}] ${both.padStart(8)}`;
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
