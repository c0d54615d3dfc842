// The result as a table.

export interface Row {
  name: string;
  unit: 'ms' | 'MiB' | '%';
  /** Absent where dockerd has nothing of the kind. */
  docker?: number;
  caisson: number;
  /** Goal: caisson ÷ dockerd is at most this. */
  maxRatio?: number;
  /** Goal: caisson is at most this. */
  max?: number;
}

export function formatTable(rows: readonly Row[]): string {
  const header = ['', 'dockerd', 'caisson', 'ratio', 'goal', ''];
  const lines = rows.map((row) => {
    const ratio = row.docker === undefined ? undefined : row.caisson / row.docker;
    const reached =
      row.maxRatio !== undefined && ratio !== undefined
        ? ratio <= row.maxRatio
        : row.max === undefined || row.caisson <= row.max;
    return [
      row.name,
      row.docker === undefined ? '-' : `${row.docker.toFixed(0)} ${row.unit}`,
      `${row.caisson.toFixed(0)} ${row.unit}`,
      ratio === undefined ? '-' : ratio.toFixed(2),
      goalOf(row),
      goalOf(row) === '-' ? '' : reached ? 'reached' : 'MISSED',
    ];
  });
  const widths = header.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return `\n${[header, ...lines].map(format).join('\n')}\n`;
}

function goalOf({ maxRatio, max, unit }: Row): string {
  if (maxRatio !== undefined) return `≤ ${maxRatio.toFixed(1)}`;
  return max === undefined ? '-' : `≤ ${max} ${unit}`;
}
