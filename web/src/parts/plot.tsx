// Plots over time, by uPlot: it draws, we say what and in which colours.

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { isDark, theme } from '../store';

export interface Line {
  name: string;
  values: (number | null)[];
}

interface PlotProps {
  title: string;
  time: number[];
  lines: Line[];
  format: (value: number | null | undefined) => string;
  height?: number;
  /** The axis goes at least so far. */
  atLeast?: number;
  /** Marks of the axis are at powers of two. */
  binary?: boolean;
}

const powersOfTwo = Array.from({ length: 50 }, (_, power) => 2 ** power);

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function Plot({ title, time, lines, format, height = 140, atLeast = 1, binary = false }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data: uPlot.AlignedData = [time, ...lines.map(({ values }) => values)];
  const look = `${theme.value} ${String(isDark.value)}`;
  const names = lines.map(({ name }) => name).join();
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const [text, grid] = [colour('--muted'), colour('--line')];
    const axis = {
      stroke: text,
      grid: { stroke: grid, width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false } },
        scales: {
          y: {
            range: (_plot, _low, high) => [0, Math.max(atLeast, (Number.isFinite(high) ? high : 0) * 1.15)],
          },
        },
        axes: [
          {
            ...axis,
            size: 26,
            space: 70,
            values: (_plot, times, _axis, _space, step) => times.map((time) => clock(time, step < 60)),
          },
          {
            ...axis,
            size: 66,
            space: 36,
            ...(binary ? { incrs: powersOfTwo } : {}),
            values: (_plot, values) => values.map((value) => format(value)),
          },
        ],
        series: [
          {},
          ...lines.map(({ name }, index) => ({
            label: name,
            stroke: colour(`--plot${index + 1}`),
            fill: `${colour(`--plot${index + 1}`)}22`,
            width: 1.75,
            points: { show: false },
            spanGaps: true,
          })),
        ],
      },
      data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [look, names, height, atLeast]);
  useEffect(() => plot.current?.setData(data), [time, lines]);
  const last = lines.map(({ name, values }) => ({ name, value: values.findLast((value) => value !== null) }));
  return (
    <figure class="plot">
      <figcaption>
        <strong>{title}</strong>
        {last.map(({ name, value }, index) => (
          <span key={name} class="plot-now">
            <i class={`swatch plot${index + 1}`} aria-hidden="true" />
            {lines.length > 1 && <span class="muted">{name} </span>}
            {format(value)}
          </span>
        ))}
      </figcaption>
      <div
        ref={box}
        class="plot-box"
        role="img"
        aria-label={`${title} over time, now ${last.map(({ name, value }) => `${name} ${format(value)}`).join(', ')}`}
      />
    </figure>
  );
}

/** With seconds where marks are closer than a minute: they would all say the same. */
function clock(time: number, withSeconds: boolean): string {
  return new Date(time * 1000).toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    ...(withSeconds ? { second: '2-digit' } : {}),
    hour12: false,
  });
}
