// Pods with a name, and Kubernetes manifests that are played.

import { useEffect, useState } from 'preact/hooks';
import type { ContainerReport, PlayReply, PodSummary, WorkloadStatus } from '../../../src/api/v1/types';
import { part, query, request, send } from '../client';
import { ago, clip, counted, shortId, timeOf } from '../logic/format';
import { Ask, Button, Dialog, Empty, Failure, Head, Loading, State } from '../parts/ui';
import { attempt, link, notice, plays, pods, refresh } from '../store';

const everyMs = 5_000;

export function PodsView() {
  const [open, setOpen] = useState<'play' | 'down'>();
  // nothing tells when a probe has said something
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) refresh('pods');
    }, everyMs);
    return () => clearInterval(timer);
  }, []);
  const all = pods.value?.filter(({ kind }) => kind !== 'container');
  const workloads = plays.value ?? [];
  return (
    <section class="view">
      <Head title="Pods" sub="Containers that share a machine, an address and a name">
        <Button changes onClick={() => setOpen('down')}>
          Take a manifest down
        </Button>
        <Button kind="primary" icon="play" changes onClick={() => setOpen('play')}>
          Play a manifest
        </Button>
      </Head>
      {all === undefined && <Loading what="Asking for Pods" />}
      {all?.length === 0 && workloads.length === 0 && (
        <Empty icon="pods" title="No Pods yet">
          <p>
            Play a Kubernetes manifest here, or use <code>caisson pod</code> or the label{' '}
            <code>caisson.pod</code>.
          </p>
        </Empty>
      )}
      {workloads.length > 0 && (
        <ul class="cards">
          {workloads.map((workload) => (
            <Workload key={`${workload.kind}/${workload.name}`} workload={workload} />
          ))}
        </ul>
      )}
      <ul class="cards">
        {(all ?? []).map((pod) => (
          <Pod key={pod.id} pod={pod} />
        ))}
      </ul>
      {open !== undefined && <Manifest way={open} onClose={() => setOpen(undefined)} />}
    </section>
  );
}

function Workload({
  workload: { kind, name, state, reason, failures, pods: own },
}: {
  workload: WorkloadStatus;
}) {
  const looks = { active: 'running', ended: 'exited', stopped: 'paused' };
  return (
    <li class="card item">
      <header>
        <h2 class="clip">{name}</h2>
        <span class="chip">{kind}</span>
        <State name={looks[state]} text={state} />
      </header>
      {reason !== '' && <p class="muted">{reason}</p>}
      {failures > 0 && <p class="bad-text">{counted(failures, 'failure')}</p>}
      <ul class="list">
        {own.map((pod) => (
          <li key={pod.name} class="played">
            <span class="clip strong">{pod.name}</span>
            <span class="facts">
              <State name={phases[pod.phase] ?? 'created'} text={pod.phase} />
              <span class="muted nowrap">
                {pod.containers.filter(({ ready }) => ready).length} of {pod.containers.length} ready
              </span>
            </span>
            {pod.containers.map((container) => (
              <Played key={container.name} container={container} />
            ))}
          </li>
        ))}
      </ul>
    </li>
  );
}

const phases: Record<string, string> = {
  Pending: 'created',
  Running: 'running',
  Succeeded: 'good',
  Failed: 'bad',
  Stopped: 'paused',
  Gone: 'exited',
};

/** A container of a manifest: is it ready, and what its probes said last. */
function Played({ container: { name, ready, restartCount, probes = [] } }: { container: ContainerReport }) {
  return (
    <div class="probes">
      <span class="clip">{name}</span>
      <State name={ready ? 'good' : 'created'} text={ready ? 'ready' : 'not ready'} />
      {restartCount > 0 && <span class="muted nowrap">restarted {counted(restartCount, 'time')}</span>}
      {probes.map(({ kind, at, failure, count }) => (
        <span key={kind} class="probe" title={`${kind} probe, ${ago(Date.parse(at))}`}>
          <State
            name={failure === '' ? 'good' : 'bad'}
            text={`${kind}: ${failure === '' ? 'passed' : 'failed'}`}
          />
          <small class="muted">
            {count} in a row{failure === '' ? '' : `: ${clip(failure.replace(/:$/, ''), 120)}`}
          </small>
        </span>
      ))}
    </div>
  );
}

const stages = ['Created', 'Starting', 'Running', 'Stopping'] as const;

/** A Pod goes from Created to Running and back; what lies between is said where it is. */
function Stages({ pod: { state, detail } }: { pod: PodSummary }) {
  const now = detail === 'Starting' || detail === 'Stopping' ? detail : state;
  return (
    <ol class="stages" aria-label={`State: ${now}${detail === '' ? '' : `, ${detail}`}`}>
      {stages.map((stage) => (
        <li key={stage} class={stage === now ? 'is-now' : ''}>
          {stage}
        </li>
      ))}
    </ol>
  );
}

function Pod({ pod }: { pod: PodSummary }) {
  const [removing, setRemoving] = useState(false);
  const [replacing, setReplacing] = useState(false);
  const act = (verb: string): Promise<boolean> =>
    attempt(async () => {
      await send('POST', `/v1/pods/${part(pod.id)}/${verb}`);
      refresh('pods', 'containers');
    });
  const addresses = Object.values(pod.addresses).map(({ ipv4Address }) => ipv4Address);
  return (
    <li class="card item">
      <header>
        <h2 class="clip">{pod.name}</h2>
        {pod.kind === 'pod' && (
          <>
            {pod.state === 'Running' ? (
              <Button
                icon="stop"
                kind="quiet"
                label={`Stop ${pod.name}`}
                changes
                onClick={() => act('stop')}
              />
            ) : (
              <Button
                icon="play"
                kind="quiet"
                label={`Start ${pod.name}`}
                changes
                onClick={() => act('start')}
              />
            )}
            {pod.state === 'Running' && (
              <Button
                icon="swap"
                kind="quiet"
                label={`Replace ${pod.name}`}
                changes
                onClick={() => setReplacing(true)}
              />
            )}
            <Button
              icon="trash"
              kind="quiet"
              label={`Remove ${pod.name}`}
              changes
              onClick={() => setRemoving(true)}
            />
          </>
        )}
      </header>
      <Stages pod={pod} />
      {(pod.detail === 'Failed' || pod.detail === 'Succeeded' || pod.detail === 'Paused') && (
        <State
          name={pod.detail === 'Failed' ? 'bad' : pod.detail === 'Paused' ? 'paused' : 'good'}
          text={pod.detail}
        />
      )}
      <p class="facts muted">
        <span>made {ago(timeOf(pod.createdAt))}</span>
        {pod.vmId !== undefined && <a href={link('vms', pod.vmId)}>machine {shortId(pod.vmId)}</a>}
        {addresses.length > 0 && <span class="mono">{addresses.join(', ')}</span>}
      </p>
      <ul class="list">
        {pod.containers.map(({ id, name, role, status, restartCount, error }) => (
          <li key={id}>
            <span class="clip">
              <a href={link('containers', id)}>{name}</a>{' '}
              {role !== 'main' && <span class="muted">{role}</span>}
              {restartCount > 0 && <span class="muted"> restarted {counted(restartCount, 'time')}</span>}
              {error !== '' && <span class="bad-text"> {error}</span>}
            </span>
            <State name={status} />
          </li>
        ))}
      </ul>
      {replacing && <Replace pod={pod} onClose={() => setReplacing(false)} />}
      {removing && (
        <Ask
          title={`Remove Pod ${pod.name}`}
          text="With its containers."
          choices={[{ id: 'volumes', label: 'Their anonymous volumes, too', value: true }]}
          action="Remove"
          danger
          run={({ choices }) =>
            send(
              'DELETE',
              `/v1/pods/${part(pod.id)}${query({ force: pod.state === 'Running', volumes: choices['volumes'] ?? false })}`,
            ).then(() => refresh('pods', 'containers', 'volumes'))
          }
          done="The Pod is removed."
          onClose={() => setRemoving(false)}
        />
      )}
    </li>
  );
}

/** Another Pod takes over the machine of this one, without a boot. */
function Replace({ pod, onClose }: { pod: PodSummary; onClose: () => void }) {
  const others = (pods.value ?? []).filter(({ kind, state }) => kind === 'pod' && state === 'Created');
  const [other, setOther] = useState(others[0]?.id ?? '');
  const [keepAddress, setKeepAddress] = useState(true);
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const replace = async (): Promise<void> => {
    setBusy(true);
    setError('');
    const went = await attempt(
      async () => {
        await send('POST', `/v1/pods/${part(pod.id)}/replace`, { pod: other, keepAddress });
        refresh('pods', 'containers');
      },
      'The other Pod has its machine.',
      setError,
    );
    setBusy(false);
    if (went) onClose();
  };
  return (
    <Dialog title={`Replace Pod ${pod.name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void replace();
        }}
      >
        {others.length === 0 ? (
          <p class="dialog-text">
            A Pod that is created and does not run takes its place: make one with{' '}
            <code>caisson pod create</code> first.
          </p>
        ) : (
          <>
            <p class="dialog-text">
              Its containers end, and the other Pod goes on in its machine, without a boot.
            </p>
            <label class="field">
              <span>Pod that takes its place</span>
              <select value={other} onChange={({ currentTarget }) => setOther(currentTarget.value)}>
                {others.map(({ id, name }) => (
                  <option key={id} value={id}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <label class="check">
              <input
                type="checkbox"
                checked={keepAddress}
                onChange={({ currentTarget }) => setKeepAddress(currentTarget.checked)}
              />
              <span>With its addresses</span>
            </label>
          </>
        )}
        {error !== '' && <Failure error={error} />}
        <footer>
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button submit kind="danger" disabled={busy || other === ''}>
            Replace
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function Manifest({ way, onClose }: { way: 'play' | 'down'; onClose: () => void }) {
  const [text, setText] = useState('');
  const [replace, setReplace] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const submit = async (): Promise<void> => {
    setBusy(true);
    setError('');
    const went = await attempt(
      async () => {
        const path = way === 'play' ? `/v1/play${query({ replace })}` : '/v1/down';
        const response = await request(path, { method: 'POST', body: text });
        if (way === 'play')
          for (const warning of ((await response.json()) as PlayReply).warnings) notice('bad', warning);
        refresh('pods', 'containers');
      },
      way === 'play' ? 'The Pods exist, and start.' : 'What was played is gone.',
      setError,
    );
    setBusy(false);
    if (went) onClose();
  };
  return (
    <Dialog
      title={way === 'play' ? 'Play a Kubernetes manifest' : 'Take a manifest down'}
      onClose={onClose}
      wide
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <label class="field">
          <span>{way === 'play' ? 'Manifest, YAML or JSON' : 'The manifest that was played'}</span>
          <textarea
            class="mono"
            rows={16}
            spellcheck={false}
            value={text}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Or a file</span>
          <input
            type="file"
            accept=".yaml,.yml,.json"
            onChange={({ currentTarget }) => void currentTarget.files?.[0]?.text().then(setText)}
          />
        </label>
        {way === 'play' && (
          <label class="check">
            <input
              type="checkbox"
              checked={replace}
              onChange={({ currentTarget }) => setReplace(currentTarget.checked)}
            />
            <span>In place of what has the same names</span>
          </label>
        )}
        {error !== '' && <Failure error={error} />}
        <footer>
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button submit kind={way === 'play' ? 'primary' : 'danger'} disabled={busy || text.trim() === ''}>
            {way === 'play' ? 'Play' : 'Take down'}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
