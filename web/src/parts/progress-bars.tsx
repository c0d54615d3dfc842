// Progress of pull, load and push: a bar for each layer, and what is said of the whole.

import type { ProgressLine } from '../../../src/docker/types';
import { objects } from '../client';
import { clip } from '../logic/format';
import { Progress, type Layer } from '../logic/progress';

export interface Told {
  layers: Layer[];
  /** What was said of the whole, last. */
  text: string;
}

export const nothingTold: Told = { layers: [], text: '' };

/** Reads progress to its end. Throws what the last line says went wrong. */
export async function follow(response: Response, told: (now: Told) => void): Promise<void> {
  const progress = new Progress();
  for await (const line of objects<ProgressLine>(response)) {
    progress.add(line);
    told({ layers: progress.layers, text: progress.text });
  }
  if (progress.error !== '') throw new Error(progress.error);
}

export function Bars({ told: { layers, text } }: { told: Told }) {
  return (
    <div class="progress" role="status">
      <ul>
        {layers.map(({ id, status, share }) => (
          <li key={id} class={share === 1 ? 'is-done' : ''}>
            <code>{id}</code>
            <span class="meter" aria-hidden="true">
              <i style={{ width: `${Math.round(share * 100)}%` }} />
            </span>
            <span class="muted nowrap">{clip(status, 40)}</span>
          </li>
        ))}
      </ul>
      {text !== '' && <p class="muted">{clip(text, 300)}</p>}
    </div>
  );
}
