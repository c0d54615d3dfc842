// The bar that old clients print as it is: `[=====>     ]  1.5MB/20MB`.

import { decimalSize } from '../../go/size-text';

const barWidth = 50;

/** Docker's text form of a progress. Without a total: only the amount. */
export function progressText({ current, total }: { current: number; total: number }): string {
  const amount = decimalSize(current).padStart(8);
  if (total <= 0) return amount;
  const percent = Math.floor((current / total) * 100);
  const done = Math.min(barWidth, Math.floor(percent / 2));
  const bar = `[${'='.repeat(done)}>${' '.repeat(barWidth - done)}] `;
  return bar + (current > total ? amount : `${amount}/${decimalSize(total)}`);
}
