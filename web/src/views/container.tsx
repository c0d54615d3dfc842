// One container: its parts as tabs, and all that can be done to it.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { ContainerInspect } from '../../../src/docker/types';
import { docker, get, part as piece, query, send } from '../client';
import { ago, counted, nameOf, shortId, timeOf } from '../logic/format';
import { Ask, Button, Empty, Failure, Head, Loading, State, Tabs } from '../parts/ui';
import { attempt, connection, containers, go, link, messageOf, pods, refresh, web } from '../store';
import { CheckpointsPart } from './container-checkpoints';
import { FilesPart } from './container-files';
import { InspectPart } from './container-inspect';
import { LogsPart } from './container-logs';
import { ProcessesPart } from './container-processes';
import { StatsPart } from './container-stats';
import { TerminalPart } from './container-terminal';

const tabs = [
  { id: 'logs', name: 'Logs' },
  { id: 'terminal', name: 'Terminal' },
  { id: 'stats', name: 'Stats' },
  { id: 'processes', name: 'Processes' },
  { id: 'files', name: 'Files' },
  { id: 'inspect', name: 'Inspect' },
  { id: 'health', name: 'Health' },
  { id: 'checkpoints', name: 'Checkpoints' },
];

type Question = 'kill' | 'rename' | 'remove' | 'commit' | 'checkpoint';

interface ContainerProps {
  id: string;
  part: string;
  /** Of its files: where to begin. */
  path: string | undefined;
}

export function ContainerView({ id, part, path }: ContainerProps) {
  const [inspect, setInspect] = useState<ContainerInspect>();
  const [error, setError] = useState('');
  const summary = containers.value?.find(({ Id }) => Id === id);
  const isOnline = connection.value === 'online';
  // the list changes with each event of the container: then it is looked at again
  const state = `${summary?.State ?? ''} ${summary?.Status.replace(/\d+/g, '') ?? ''} ${summary?.Names.join() ?? ''}`;
  useEffect(() => {
    const abort = new AbortController();
    get<ContainerInspect>(docker(`/containers/${piece(id)}/json`), abort.signal).then(
      (found) => {
        setInspect(found);
        setError('');
      },
      (problem: unknown) => {
        if (!abort.signal.aborted) setError(messageOf(problem));
      },
    );
    return () => abort.abort();
  }, [id, state, isOnline]);
  if (inspect === undefined) {
    return (
      <section class="view">
        <Head title={shortId(id)} back={link('containers')} />
        {error === '' ? <Loading what="Asking for the container" /> : <Failure error={error} />}
      </section>
    );
  }
  const isGone = containers.value !== undefined && summary === undefined;
  return (
    <section class="view fill">
      <Header inspect={inspect} isGone={isGone} />
      <Tabs
        tabs={tabs.filter(
          (tab) =>
            (tab.id !== 'health' || inspect.State.Health !== undefined) &&
            (tab.id !== 'checkpoints' || web.value?.experimental === true),
        )}
        active={part}
        hrefOf={(one) => link('containers', id, one)}
      />
      {isGone && <p class="hint">This container was removed.</p>}
      <Part inspect={inspect} part={part} path={path} />
    </section>
  );
}

function Part({
  inspect,
  part,
  path,
}: { inspect: ContainerInspect } & Pick<ContainerProps, 'part' | 'path'>) {
  switch (part) {
    case 'logs':
      return <LogsPart inspect={inspect} />;
    case 'terminal':
      return <TerminalPart inspect={inspect} />;
    case 'stats':
      return <StatsPart inspect={inspect} />;
    case 'processes':
      return <ProcessesPart inspect={inspect} />;
    case 'files':
      return <FilesPart key={path} inspect={inspect} start={path} />;
    case 'inspect':
      return <InspectPart inspect={inspect} />;
    case 'checkpoints':
      return <CheckpointsPart inspect={inspect} />;
    case 'health':
      return <HealthPart inspect={inspect} />;
    default:
      return <Failure error="There is nothing at this address." />;
  }
}

function Header({ inspect, isGone }: { inspect: ContainerInspect; isGone: boolean }) {
  const [question, setQuestion] = useState<Question>();
  const { Id, State: state, Config, RestartCount } = inspect;
  const name = nameOf([inspect.Name]);
  const pod = pods.value?.find((one) => one.containers.some((container) => container.id === Id));
  const act = (verb: string, done: string) => () =>
    attempt(async () => {
      await send('POST', docker(`/containers/${piece(Id)}/${verb}`));
      refresh('containers', 'pods');
    }, done);
  const since = state.Running ? `for ${ago(timeOf(state.StartedAt)).replace(' ago', '')}` : ended(inspect);
  return (
    <>
      <Head
        back={link('containers')}
        title={name}
        sub={
          <span class="facts">
            <State name={state.Status} text={`${state.Status} ${since}`} />
            {state.Health !== undefined && <Health status={state.Health.Status} />}
            <a href={link('images', inspect.Image)} class="clip">
              {Config.Image}
            </a>
            {pod?.vmId !== undefined && <a href={link('vms', pod.vmId)}>machine {shortId(pod.vmId)}</a>}
            {RestartCount > 0 && <span>restarted {counted(RestartCount, 'time')}</span>}
            {state.Error !== '' && <span class="bad-text">{state.Error}</span>}
          </span>
        }
      >
        {!isGone && (
          <>
            {state.Running ? (
              <Button icon="stop" changes onClick={act('stop', `${name} is stopped.`)}>
                Stop
              </Button>
            ) : (
              <Button icon="play" kind="primary" changes onClick={act('start', `${name} is started.`)}>
                Start
              </Button>
            )}
            {state.Running && (
              <Button icon="restart" changes onClick={act('restart', `${name} is restarted.`)}>
                Restart
              </Button>
            )}
            {state.Running && (
              <Button
                icon={state.Paused ? 'play' : 'pause'}
                changes
                onClick={act(state.Paused ? 'unpause' : 'pause', '')}
              >
                {state.Paused ? 'Resume' : 'Pause'}
              </Button>
            )}
            <More
              items={[
                ...(state.Running ? [{ id: 'kill' as const, name: 'Kill…' }] : []),
                { id: 'rename', name: 'Rename…' },
                { id: 'commit', name: 'Commit to an image…' },
                ...(web.value?.experimental === true && state.Running
                  ? [{ id: 'checkpoint' as const, name: 'Checkpoint…' }]
                  : []),
                { id: 'remove', name: 'Remove…' },
              ]}
              onChoose={setQuestion}
            />
          </>
        )}
      </Head>
      {question !== undefined && (
        <Question question={question} inspect={inspect} onClose={() => setQuestion(undefined)} />
      )}
    </>
  );
}

function More({
  items,
  onChoose,
}: {
  items: readonly { id: Question; name: string }[];
  onChoose: (id: Question) => void;
}) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    box.current?.querySelector<HTMLElement>('.menu button')?.focus();
    const close = ({ target }: Event): void => {
      if (box.current?.contains(target as HTMLElement) !== true) setOpen(false);
    };
    addEventListener('click', close);
    addEventListener('focusin', close);
    return () => {
      removeEventListener('click', close);
      removeEventListener('focusin', close);
    };
  }, [open]);
  const press = (event: KeyboardEvent): void => {
    if (!open) return;
    const buttons = [...(box.current?.querySelectorAll<HTMLElement>('.menu button') ?? [])];
    const at = buttons.indexOf(event.target as HTMLElement);
    if (event.key === 'ArrowDown') buttons[(at + 1) % buttons.length]?.focus();
    else if (event.key === 'ArrowUp') buttons.at(at <= 0 ? -1 : at - 1)?.focus();
    else if (event.key === 'Escape') {
      setOpen(false);
      box.current?.querySelector('button')?.focus();
    } else return;
    event.preventDefault();
  };
  return (
    <div class="more" ref={box} onKeyDown={press}>
      <Button icon="more" label="More" expanded={open} changes onClick={() => setOpen(!open)} />
      {open && (
        <ul class="menu">
          {items.map(({ id, name }) => (
            <li key={id}>
              <button
                type="button"
                class={id === 'remove' ? 'bad-text' : ''}
                onClick={() => {
                  setOpen(false);
                  onChoose(id);
                }}
              >
                {name}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Question({
  question,
  inspect,
  onClose,
}: {
  question: Question;
  inspect: ContainerInspect;
  onClose: () => void;
}) {
  const { Id, State: state } = inspect;
  const name = nameOf([inspect.Name]);
  const path = (rest: string): string => docker(`/containers/${piece(Id)}${rest}`);
  switch (question) {
    case 'kill':
      return (
        <Ask
          title={`Kill ${name}`}
          field={{ label: 'Signal', value: 'SIGKILL' }}
          action="Send it"
          danger
          run={({ text }) => send('POST', path(`/kill${query({ signal: text })}`))}
          done="The signal is sent."
          onClose={onClose}
        />
      );
    case 'rename':
      return (
        <Ask
          title={`Rename ${name}`}
          field={{ label: 'New name', value: name }}
          action="Rename"
          run={async ({ text }) => {
            await send('POST', path(`/rename${query({ name: text })}`));
            refresh('containers');
          }}
          done="Renamed."
          onClose={onClose}
        />
      );
    case 'commit':
      return (
        <Ask
          title={`Make an image of ${name}`}
          text="What the container has written outside of volumes becomes a layer."
          field={{ label: 'Name of the image, like team/app:1', value: '' }}
          choices={[{ id: 'pause', label: 'Pause the container meanwhile', value: true }]}
          action="Commit"
          run={({ text, choices }) => {
            const at = text.lastIndexOf(':') > text.lastIndexOf('/') ? text.lastIndexOf(':') : text.length;
            const names = { container: Id, repo: text.slice(0, at), tag: text.slice(at + 1) };
            return send('POST', docker(`/commit${query({ ...names, pause: choices['pause'] ?? true })}`));
          }}
          done="The image is made."
          onClose={onClose}
        />
      );
    case 'checkpoint':
      return (
        <Ask
          title={`Checkpoint of ${name}`}
          text="Memory, processes and disk as they are now; a start can begin from there."
          field={{
            label: 'Name',
            value: `at-${new Date().toISOString().slice(0, 16).replace(/[T:]/g, '-')}`,
          }}
          choices={[{ id: 'exit', label: 'Stop the container with it', value: false }]}
          action="Save"
          run={({ text, choices }) =>
            send('POST', path('/checkpoints'), { CheckpointID: text, Exit: choices['exit'] ?? false })
          }
          done="The checkpoint is saved."
          onClose={onClose}
        />
      );
    case 'remove':
      return (
        <Ask
          title={`Remove ${name}`}
          text={
            state.Running
              ? 'It runs: it is killed first. What it wrote outside of volumes is gone then.'
              : 'What it wrote outside of volumes is gone then.'
          }
          choices={[{ id: 'volumes', label: 'Its anonymous volumes, too', value: true }]}
          action="Remove"
          danger
          run={async ({ choices }) => {
            await send('DELETE', path(query({ force: state.Running, v: choices['volumes'] ?? false })));
            refresh('containers', 'volumes', 'pods');
            go('containers');
          }}
          done={`${name} is removed.`}
          onClose={onClose}
        />
      );
  }
}

function Health({ status }: { status: string }) {
  const looks: Record<string, string> = { healthy: 'good', unhealthy: 'bad', starting: 'warn' };
  return <State name={looks[status] ?? 'created'} text={status} />;
}

function HealthPart({ inspect }: { inspect: ContainerInspect }) {
  const health = inspect.State.Health;
  const log = [...(health?.Log ?? [])].reverse();
  if (log.length === 0) {
    return (
      <Empty icon="events" title="No probe has ended yet">
        <p>The command of the health check runs every now and then; what it said is shown here.</p>
      </Empty>
    );
  }
  return (
    <div class="scroll">
      <ol class="timeline">
        {log.map(({ Start, End, ExitCode, Output }) => (
          <li key={Start}>
            <State name={ExitCode === 0 ? 'good' : 'bad'} text={`exit ${ExitCode}`} />
            <span class="muted">
              {ago(timeOf(End))}, took {Math.max(0, timeOf(End) - timeOf(Start))} ms
            </span>
            {Output !== '' && <pre>{Output}</pre>}
          </li>
        ))}
      </ol>
    </div>
  );
}

function ended({ State: state }: ContainerInspect): string {
  if (state.Status === 'created') return '';
  const reason = state.OOMKilled ? ', out of memory' : '';
  return `with ${state.ExitCode}${reason}, ${ago(timeOf(state.FinishedAt))}`;
}
