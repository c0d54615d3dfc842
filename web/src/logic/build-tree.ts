// The steps of a build as a tree: stages, and below each those that it takes from.

import type { BuildStep } from '../../../src/web/types';

export interface BuildStage {
  /** As the Dockerfile has it, with the platform where there are several; empty: it has none. */
  name: string;
  /** Indexes, in their order. */
  steps: number[];
  /** Those that it takes from, and that stand nowhere else yet. */
  needs: BuildStage[];
  /** Names of those that it takes from, and that stand somewhere else. */
  also: string[];
}

/** What the client's side does; what is exported. */
const [preparing, exporting] = ['preparation', 'result'];

/** `[build 2/5] RUN …`, `[linux/arm64 build 2/5] RUN …`, `[2/5] RUN …`, `[internal] load …`, `exporting to image` */
function stageOf(name: string): string {
  if (name.startsWith('[internal]') || /^(?:resolve image config|load )/.test(name)) return preparing;
  if (/^(?:exporting|pushing|importing|\[auth\])/.test(name)) return exporting;
  const [, stage] = /^\[(.+?) +\d+\/\d+\]/.exec(name) ?? [];
  return stage ?? '';
}

/** What the command of the step is, without its stage. */
export function commandOf(name: string): string {
  return name.replace(/^\[[^\]]*\] +/, '');
}

export function buildTree(steps: readonly Pick<BuildStep, 'name' | 'inputs'>[]): BuildStage[] {
  const stages = new Map<string, BuildStage>();
  const names = steps.map(({ name }) => stageOf(name));
  names.forEach((name, index) => {
    if (steps[index]?.name === '') return;
    const stage = stages.get(name) ?? { name, steps: [], needs: [], also: [] };
    stage.steps.push(index);
    stages.set(name, stage);
  });
  const needsOf = ({ name, steps: own }: BuildStage): string[] => {
    const inputs = own
      .flatMap((index) => steps[index]?.inputs ?? [])
      // one image may be the base of many stages: its step is in one of them, and that says nothing
      .filter((input) => !commandOf(steps[input]?.name ?? '').startsWith('FROM '))
      .map((input) => names[input] ?? '');
    return [...new Set(inputs)].filter((other) => other !== name && other !== preparing && stages.has(other));
  };
  const needed = new Set([...stages.values()].flatMap(needsOf));
  const rank = ({ name }: BuildStage): number => (name === preparing ? 0 : name === exporting ? 2 : 1);
  const placed = new Set<string>();
  const place = (stage: BuildStage): void => {
    placed.add(stage.name);
    for (const name of needsOf(stage)) {
      const other = stages.get(name);
      if (other === undefined || placed.has(name)) stage.also.push(name);
      else {
        stage.needs.push(other);
        place(other);
      }
    }
  };
  const roots = [...stages.values()].filter(({ name }) => !needed.has(name));
  for (const root of roots) place(root);
  // whatever needs itself in a circle is no build; it is shown none the less
  for (const stage of stages.values()) {
    if (placed.has(stage.name)) continue;
    roots.push(stage);
    place(stage);
  }
  return roots.sort((a, b) => rank(a) - rank(b));
}
