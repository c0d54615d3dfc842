// The builds that the daemon remembers: what each made, how long it took, what came from the cache, and what its steps wrote.

import { useEffect } from 'preact/hooks';
import type { BuildDetail, BuildStep, BuildSummary } from '../../../src/web/types';
import { get, query } from '../client';
import { ago, clip, shortDuration } from '../logic/format';
import { plainText } from '../logic/ansi';
import { Empty, Failure, Head, Loading, State, useLoad } from '../parts/ui';
import { link } from '../store';

export function BuildsView({ selected }: { selected: string | undefined }) {
  const { value, error, again } = useLoad<BuildSummary[]>((signal) => get('/web/builds', signal), [selected]);
  const runs = value?.some(({ endedMs }) => endedMs === undefined) ?? false;
  useEffect(() => {
    const timer = setInterval(again, runs ? 2_000 : 10_000);
    return () => clearInterval(timer);
  }, [runs]);
  const build = value?.find(({ ref }) => ref === selected);
  if (selected !== undefined && build !== undefined) return <BuildView build={build} />;
  return (
    <section class="view">
      <Head title="Builds" sub="By BuildKit: docker build, buildx, Compose" />
      {value === undefined && (error === undefined ? <Loading /> : <Failure error={error} again={again} />)}
      {value?.length === 0 && (
        <Empty icon="builds" title="No builds yet">
          <p>What `docker build` and `docker buildx build` have done is shown here, with steps and output.</p>
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
          {totalSteps} steps, {cachedSteps} from the cache
        </span>
      )}
    </span>
  );
}

function BuildView({ build }: { build: BuildSummary }) {
  const detail = useLoad<BuildDetail>(
    (signal) => get(`/web/build${query({ ref: build.ref })}`, signal),
    [build.ref, build.endedMs],
  );
  const steps = (detail.value?.steps ?? []).filter(({ name }) => name !== '');
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
      {build.endedMs === undefined && <p class="hint">It runs: its steps are shown when it has ended.</p>}
      {build.endedMs !== undefined && detail.error !== undefined && (
        <Failure error={detail.error} again={detail.again} />
      )}
      <ol class="steps">
        {steps.map((step, index) => (
          <li key={index} class="card">
            <details open={step.error !== ''}>
              <summary>
                <StepState step={step} />
                <code class="clip grow">{clip(step.name, 300)}</code>
                <span class="meter" aria-hidden="true">
                  <i style={{ width: `${(lengthOf(step) / longest) * 100}%` }} />
                </span>
                <span class="muted nowrap right step-time">
                  {step.cached ? '' : shortDuration(lengthOf(step))}
                </span>
              </summary>
              {step.error !== '' && <p class="bad-text">{clip(step.error, 2_000)}</p>}
              {step.inputs.length > 0 && (
                <p class="muted">
                  Needs:{' '}
                  {step.inputs.map((input) => clip(detail.value?.steps[input]?.name ?? '', 80)).join(' · ')}
                </p>
              )}
              {step.output !== '' ? (
                <pre class="output">{step.output.split('\n').map(plainText).join('\n')}</pre>
              ) : (
                <p class="muted">It wrote nothing.</p>
              )}
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

function lengthOf({ startedMs, endedMs, cached }: BuildStep): number {
  return cached || startedMs === undefined || endedMs === undefined ? 0 : Math.max(0, endedMs - startedMs);
}

function StepState({ step: { cached, error, endedMs } }: { step: BuildStep }) {
  if (error !== '') return <State name="bad" text="failed" />;
  if (cached) return <State name="idle" text="cached" />;
  return endedMs === undefined ? <State name="created" text="not run" /> : <State name="good" text="done" />;
}
