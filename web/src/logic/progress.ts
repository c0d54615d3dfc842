// Progress of pull, push and load, line by line, as one bar for each layer.

import type { ProgressLine } from '../../../src/docker/types';

export interface Layer {
  id: string;
  status: string;
  /** 0 to 1. */
  share: number;
}

const layersShown = 200;
const done =
  /^(?:Pull complete|Already exists|Pushed|Layer already exists|Mounted from|Download complete|Loaded)/;

export class Progress {
  readonly #layers = new Map<string, Layer>();
  /** What was said of the whole, last. */
  text = '';
  error = '';

  add({ id, status = '', stream, progressDetail, error }: ProgressLine): void {
    if (error !== undefined) this.error = error;
    if (stream !== undefined) this.text = stream.trim();
    if (status === '') return;
    // the line that names the image has its tag for an id
    if (id === undefined || !/^[\da-f]{12}$/.test(id)) {
      this.text = status;
      return;
    }
    if (!this.#layers.has(id) && this.#layers.size >= layersShown) return;
    const { current, total } = (progressDetail ?? {}) as { current?: number; total?: number };
    const known = this.#layers.get(id)?.share ?? 0;
    const share = done.test(status)
      ? 1
      : current !== undefined && total !== undefined && total > 0
        ? current / total
        : known;
    this.#layers.set(id, { id, status, share: Math.min(1, share) });
  }

  get layers(): Layer[] {
    return [...this.#layers.values()];
  }
}
