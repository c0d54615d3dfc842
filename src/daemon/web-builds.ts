// The builds that were, as the web page shows them.

import type { BuildHistory, PastBuild } from '../buildkit/history/history';
import type { BuildStep, BuildSummary } from '../web/types';
import type { WebBuilds } from '../web/web-server';

/** Arguments may be secrets: they are not shown. */
const shownOptions = ['filename', 'target', 'platform', 'context', 'vcs:source', 'vcs:revision', 'no-cache'];
const shownBytes = 200;
/** The end of what a step wrote. */
const outputKept = 64 * 1024;
const stepsKept = 2_000;

export function webBuilds(history: BuildHistory): WebBuilds {
  return {
    list: () => history.list().map(summaryOf),
    async detail(ref) {
      const told = await history.told(ref);
      if (told === undefined) return undefined;
      const steps = new Map<string, BuildStep & { digests: readonly string[] }>();
      for await (const { vertexes, logs } of told) {
        for (const vertex of vertexes ?? []) {
          const digest = vertex.digest ?? '';
          if (!steps.has(digest) && steps.size >= stepsKept) continue;
          const known = steps.get(digest);
          const [startedMs, endedMs] = [millisecondsOf(vertex.started), millisecondsOf(vertex.completed)];
          steps.set(digest, {
            name: vertex.name ?? '',
            inputs: [],
            digests: [...(vertex.inputs ?? [])],
            cached: vertex.cached ?? false,
            error: vertex.error ?? '',
            output: known?.output ?? '',
            ...(startedMs === undefined ? {} : { startedMs }),
            ...(endedMs === undefined ? {} : { endedMs }),
          });
        }
        for (const { vertex = '', msg } of logs ?? []) {
          const step = steps.get(vertex);
          if (step === undefined || msg === undefined) continue;
          step.output = (step.output + Buffer.from(msg).toString()).slice(-outputKept);
        }
      }
      const digests = [...steps.keys()];
      return {
        ref,
        steps: [...steps.values()].map(({ digests: inputs, ...step }) => ({
          ...step,
          inputs: inputs.map((digest) => digests.indexOf(digest)).filter((index) => index >= 0),
        })),
      };
    },
  };
}

function summaryOf({
  ref,
  options,
  exporters,
  createdAtMs,
  completedAtMs,
  error,
  counts,
}: PastBuild): BuildSummary {
  const shown = options.filter(([name]) => shownOptions.includes(name));
  const images = exporters
    .flatMap(({ attributes }) => attributes.filter(([name]) => name === 'name').map(([, value]) => value))
    .flatMap((names) => names.split(','))
    .filter((name) => name !== '');
  return {
    ref,
    options: Object.fromEntries(shown.map(([name, value]) => [name, value.slice(0, shownBytes)])),
    images,
    startedMs: createdAtMs,
    ...(completedAtMs === undefined ? {} : { endedMs: completedAtMs }),
    ...(error === undefined ? {} : { error: error.message }),
    totalSteps: counts?.total ?? 0,
    cachedSteps: counts?.cached ?? 0,
    completedSteps: counts?.completed ?? 0,
  };
}

function millisecondsOf(
  time: { seconds?: number | undefined; nanos?: number | undefined } | undefined,
): number | undefined {
  if (time === undefined) return undefined;
  return (time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6;
}
