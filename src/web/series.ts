// Measurements over time, within a bound: each subject has a ring of the last minutes and one of the last day, whose points are means.

import type { Columns, Measure } from './types';

export const measures: readonly Measure[] = [
  'cpuPercent',
  'memoryBytes',
  'rxBytes',
  'txBytes',
  'readBytes',
  'writtenBytes',
];
export type Point = Partial<Record<Measure, number>>;

/** The last `capacity` points, in arrays that are made once. */
class Ring {
  readonly #time: Float64Array;
  readonly #values: readonly Float32Array[];
  #next = 0;
  #length = 0;

  constructor(capacity: number) {
    this.#time = new Float64Array(capacity);
    this.#values = measures.map(() => new Float32Array(capacity));
  }

  get lastTime(): number | undefined {
    if (this.#length === 0) return undefined;
    return this.#time[(this.#next - 1 + this.#time.length) % this.#time.length];
  }

  add(time: number, point: Point): void {
    this.#time[this.#next] = time;
    measures.forEach((measure, index) => {
      const column = this.#values[index];
      if (column !== undefined) column[this.#next] = point[measure] ?? Number.NaN;
    });
    this.#next = (this.#next + 1) % this.#time.length;
    this.#length = Math.min(this.#length + 1, this.#time.length);
  }

  /** Columns in which nothing was ever known are left out. */
  columns(): Columns {
    const start = this.#next - this.#length + this.#time.length;
    const at = Array.from({ length: this.#length }, (_, index) => (start + index) % this.#time.length);
    const values: Columns['values'] = {};
    measures.forEach((measure, index) => {
      const column = at.map((position) => this.#values[index]?.[position] ?? Number.NaN);
      if (column.every((value) => Number.isNaN(value))) return;
      values[measure] = column.map((value) => (Number.isNaN(value) ? null : round(value)));
    });
    return { time: at.map((position) => Math.round(this.#time[position] ?? 0)), values };
  }
}

/** Three digits are more than a plot shows. */
function round(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
}

/** Ten minutes in steps of five seconds. */
const minutesKept = 120;
/** A day in steps of five minutes. */
const dayKept = 288;
export const dayStepSeconds = 300;

/** One subject's history: about 18 KB. */
export class Series {
  readonly #minutes = new Ring(minutesKept);
  readonly #day = new Ring(dayKept);
  #sums = new Map<Measure, { sum: number; count: number }>();
  #dayStep: number | undefined;

  /** `time`: seconds since the epoch. */
  add(time: number, point: Point): void {
    this.#minutes.add(time, point);
    const step = Math.floor(time / dayStepSeconds);
    if (this.#dayStep !== undefined && step !== this.#dayStep) this.#closeStep(this.#dayStep);
    this.#dayStep = step;
    for (const measure of measures) {
      const value = point[measure];
      if (value === undefined) continue;
      const { sum, count } = this.#sums.get(measure) ?? { sum: 0, count: 0 };
      this.#sums.set(measure, { sum: sum + value, count: count + 1 });
    }
  }

  get lastTime(): number {
    return this.#minutes.lastTime ?? 0;
  }

  minutes(): Columns {
    return this.#minutes.columns();
  }

  /** With the step that is not over yet. */
  day(): Columns {
    const columns = this.#day.columns();
    if (this.#dayStep === undefined) return columns;
    const last = new Ring(columns.time.length + 1);
    columns.time.forEach((time, index) => last.add(time, pointOf(columns, index)));
    last.add((this.#dayStep + 1) * dayStepSeconds, this.#means());
    return last.columns();
  }

  #means(): Point {
    return Object.fromEntries([...this.#sums].map(([measure, { sum, count }]) => [measure, sum / count]));
  }

  #closeStep(step: number): void {
    this.#day.add((step + 1) * dayStepSeconds, this.#means());
    this.#sums = new Map();
  }
}

function pointOf({ values }: Columns, index: number): Point {
  const point: Point = {};
  for (const measure of measures) {
    const value = values[measure]?.[index];
    if (value !== undefined && value !== null) point[measure] = value;
  }
  return point;
}
