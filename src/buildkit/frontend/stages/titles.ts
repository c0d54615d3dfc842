// What clients show of steps: `[build 2/5] RUN make`.

import { platformText } from '../options/platforms';
import type { Platform } from '../../contract/llb';
import type { Stage } from '../syntax/instruction';

export interface StageTitles {
  /** Of the next step. */
  next(text: string): string;
}

const longestTitle = 4096;

/** `count` steps are shown; a stage that is alone needs no name. */
export function stageTitles(
  stage: Stage,
  options: { isAlone: boolean; count: number; platform: Platform | undefined },
): StageTitles {
  const { isAlone, count, platform } = options;
  const name = isAlone ? '' : stage.name === '' ? `stage-${stage.index}` : stage.name;
  const width = String(count).length;
  let at = 0;
  return {
    next: (text) => {
      at += 1;
      const place = `${String(at).padStart(width)}/${count}`;
      const parts = [platform === undefined ? '' : platformText(platform), name, place];
      return `[${parts.filter((part) => part !== '').join(' ')}] ${text}`.slice(0, longestTitle);
    },
  };
}
