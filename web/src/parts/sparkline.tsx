// A small plot in a line of a table: how it went, beside what it is now.

const [width, height] = [72, 20];
const shown = 60;

interface SparklineProps {
  values: readonly (number | null)[];
  /** What fills the height, unless there is more. */
  atLeast: number;
}

export function Sparkline({ values, atLeast }: SparklineProps) {
  const last = values.slice(-shown);
  const most = Math.max(atLeast, ...last.map((value) => value ?? 0));
  const step = width / (shown - 1);
  const points = last.flatMap((value, index) =>
    value === null
      ? []
      : [
          `${((shown - last.length + index) * step).toFixed(1)},${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`,
        ],
  );
  return (
    <svg class="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {points.length > 1 && <polyline points={points.join(' ')} />}
    </svg>
  );
}
