// The builds that the daemon remembers: what each made, how long it took, what came from the cache, and what its steps wrote.

import { useEffect, useRef } from 'preact/hooks';
import type { BuildDetail, BuildStep, BuildSummary } from '../../../src/web/types';
import { get, query } from '../client';
import { ago, clip, counted, shortDuration } from '../logic/format';
import { plainText } from '../logic/ansi';
import { buildTree, commandOf, type BuildStage } from '../logic/build-tree';
import { Empty, Failure, Head, Loading, State, useLoad } from '../parts/ui';
import { link } from '../store';

const listMs = 2_000;

export function BuildsView({ selected }: { selected: string | undefined }) {
  const { value, error, again } = useLoad<BuildSummary[]>(
    (signal) => get('/web/builds', signal),
    [selected],
    listMs,
  );
  const build = value?.find(({ ref }) => ref === selected);
  if (selected !== undefined && build !== undefined) return <BuildView build={build} />;
  return (
    <section class="view">
      <Head title="Builds" sub="By BuildKit: docker build, buildx, Compose" />
      {value === undefined && (error === undefined ? <Loading /> : <Failure error={error} again={again} />)}
      {selected !== undefined && value !== undefined && build === undefined && (
        <Failure error="This build is not remembered." />
      )}
      {value?.length === 0 && (
        <Empty icon="builds" title="No builds yet">
          <p>
            What <code>docker build</code> and <code>docker buildx build</code> have done is shown here, with
            steps and output.
          </p>
        </Empty>
      )}
      <ul class="cards">
        {(value ?? []).map((one) => (
          <li key={one.ref} class="card build">
            <a href={link('builds', one.ref)} class="clip strong">
              {nameOf(one)}
            </a>
            <BuildFacts build={one} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function nameOf({ images, options, ref }: BuildSummary): string {
  return images[0] ?? options['target'] ?? options['vcs:source'] ?? ref;
}

function BuildFacts({
  build: { startedMs, endedMs, error, totalSteps, cachedSteps },
}: {
  build: BuildSummary;
}) {
  return (
    <span class="facts muted">
      {endedMs === undefined ? (
        <State name="idle" text="running" />
      ) : error === undefined ? (
        <State name="good" text="done" />
      ) : (
        <State name="bad" text="failed" />
      )}
      <span>{ago(startedMs)}</span>
      <span>{shortDuration((endedMs ?? Date.now()) - startedMs)}</span>
      {totalSteps > 0 && (
        <span>
          {counted(totalSteps, 'step')}, {cachedSteps} from the cache
        </span>
      )}
    </span>
  );
}

const liveMs = 1_000;

function BuildView({ build }: { build: BuildSummary }) {
  const runs = build.endedMs === undefined;
  const detail = useLoad<BuildDetail>(
    (signal) => get(`/web/build${query({ ref: build.ref })}`, signal),
    [build.ref, build.endedMs],
    runs ? liveMs : undefined,
  );
  const steps = detail.value?.steps ?? [];
  const longest = Math.max(1, ...steps.map(lengthOf));
  return (
    <section class="view">
      <Head title={nameOf(build)} back={link('builds')} sub={<BuildFacts build={build} />} />
      {build.error !== undefined && <Failure error={clip(build.error, 2_000)} />}
      <dl class="pairs card">
        {Object.entries(build.options).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="mono">{value}</dd>
          </div>
        ))}
        <div>
          <dt>build</dt>
          <dd class="mono">{build.ref}</dd>
        </div>
      </dl>
      {detail.error !== undefined && detail.value === undefined && (
        <Failure error={detail.error} again={detail.again} />
      )}
      {runs && steps.length === 0 && <Loading what="Waiting for its first step" />}
      <Stages stages={buildTree(steps)} steps={steps} longest={longest} runs={runs} />
    </section>
  );
}

interface StagesProps {
  stages: readonly BuildStage[];
  steps: readonly BuildStep[];
  longest: number;
  runs: boolean;
}

function Stages({ stages, steps, longest, runs }: StagesProps) {
  if (stages.length === 0) return null;
  return (
    <ul class="stage-tree">
      {stages.map(({ name, steps: own, needs, also }) => (
        <li key={name}>
          <h2 class="stage-name">
            <span class="clip">{name === '' ? 'build' : clip(name, 100)}</span>
            {also.length > 0 && <small class="muted">takes from {clip(also.join(', '), 120)}, too</small>}
          </h2>
          <ol class="steps">
            {own.map((index) => {
              const step = steps[index];
              return (
                step !== undefined && <Step key={index} step={step} longest={longest} buildRuns={runs} />
              );
            })}
          </ol>
          <Stages stages={needs} steps={steps} longest={longest} runs={runs} />
        </li>
      ))}
    </ul>
  );
}

function Step({ step, longest, buildRuns }: { step: BuildStep; longest: number; buildRuns: boolean }) {
  const isRunning = buildRuns && step.startedMs !== undefined && step.endedMs === undefined;
  const output = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (isRunning && output.current !== null) output.current.scrollTop = output.current.scrollHeight;
  }, [step.output]);
  return (
    <li class="card">
      <details open={step.error !== '' || isRunning}>
        <summary>
          <StepState step={step} isRunning={isRunning} />
          <code class="clip grow">{clip(commandOf(step.name), 300)}</code>
          <span class="meter" aria-hidden="true">
            <i style={{ width: `${(lengthOf(step) / longest) * 100}%` }} />
          </span>
          <span class="muted nowrap right step-time">{step.cached ? '' : shortDuration(lengthOf(step))}</span>
        </summary>
        {step.error !== '' && <p class="bad-text">{clip(step.error, 2_000)}</p>}
        {step.output !== '' ? (
          <pre class="output" ref={output} tabIndex={0}>
            {step.output.split('\n').map(plainText).join('\n')}
          </pre>
        ) : (
          <p class="muted">{isRunning ? 'It has written nothing yet.' : 'It wrote nothing.'}</p>
        )}
      </details>
    </li>
  );
}

function lengthOf({ startedMs, endedMs, cached }: BuildStep): number {
  return cached || startedMs === undefined ? 0 : Math.max(0, (endedMs ?? Date.now()) - startedMs);
}

function StepState({ step: { cached, error, endedMs }, isRunning }: { step: BuildStep; isRunning: boolean }) {
  if (error !== '') return <State name="bad" text="failed" />;
  if (cached) return <State name="idle" text="cached" />;
  if (isRunning) return <State name="running" text="running" />;
  return endedMs === undefined ? <State name="created" text="not run" /> : <State name="good" text="done" />;
}
