// All containers, as `docker ps -a` has them.

import { useState } from 'preact/hooks';
import type { ContainerSummary, PortSummary } from '../../../src/docker/types';
import { docker, part, send } from '../client';
import { nameOf } from '../logic/format';
import { Rows } from '../parts/rows';
import { Ask, Button, Empty, Head, Loading, SearchBox, State } from '../parts/ui';
import { attempt, containers, go, link, refresh } from '../store';

const rowHeight = 60;
type Which = 'all' | 'running' | 'stopped';

export function ContainersView() {
  const [text, setText] = useState('');
  const [which, setWhich] = useState<Which>('all');
  const [pruning, setPruning] = useState(false);
  const all = containers.value;
  const found = (all ?? []).filter((container) => fits(container, text) && isOf(container, which));
  const running = (all ?? []).filter(({ State: state }) => state === 'running').length;
  return (
    <section class="view fill">
      <Head
        title="Containers"
        sub={all === undefined ? undefined : `${running} running, ${all.length - running} not`}
      >
        <Button kind="quiet" changes onClick={() => setPruning(true)}>
          Prune
        </Button>
        <Button kind="primary" icon="plus" changes onClick={() => go('run')}>
          Run
        </Button>
      </Head>
      <div class="tools">
        <SearchBox value={text} onInput={setText} label="Name, image, label or state" />
        <div class="choice" role="group" aria-label="Which">
          {(['all', 'running', 'stopped'] as const).map((one) => (
            <button key={one} type="button" aria-pressed={which === one} onClick={() => setWhich(one)}>
              {one}
            </button>
          ))}
        </div>
      </div>
      {all === undefined && <Loading what="Asking for containers" />}
      {all?.length === 0 && (
        <Empty icon="containers" title="No containers yet">
          <p>Each one that you run gets a virtual machine of its own.</p>
          <Button kind="primary" changes onClick={() => go('run')}>
            Run the first
          </Button>
        </Empty>
      )}
      {all !== undefined && all.length > 0 && found.length === 0 && (
        <Empty icon="search" title="None of them">
          <p>No container has that in its name, image, labels or state.</p>
        </Empty>
      )}
      {found.length > 0 && (
        <Rows
          items={found}
          height={rowHeight}
          keyOf={({ Id }) => Id}
          label="Containers"
          head={
            <>
              <span class="c-state">State</span>
              <span class="c-name">Name and image</span>
              <span class="c-status">Status</span>
              <span class="c-ports">Ports</span>
              <span class="c-actions" />
            </>
          }
          render={(container) => <Row container={container} />}
        />
      )}
      {pruning && (
        <Ask
          title="Remove stopped containers"
          text="All containers that do not run are removed, with what they have written outside of volumes."
          action="Remove them"
          danger
          run={() => send('POST', docker('/containers/prune'))}
          done="Stopped containers are removed."
          onClose={() => setPruning(false)}
        />
      )}
    </section>
  );
}

function Row({ container }: { container: ContainerSummary }) {
  const { Id, Names, Image, State: state, Status, Ports } = container;
  const name = nameOf(Names);
  const act = (verb: string): Promise<boolean> =>
    attempt(async () => {
      await send('POST', docker(`/containers/${part(Id)}/${verb}`));
      refresh('containers', 'pods');
    });
  const isUp = state === 'running' || state === 'paused' || state === 'restarting';
  return (
    <>
      <span class="c-state">
        <State name={state} />
      </span>
      <span class="c-name">
        <a href={link('containers', Id)} class="clip strong">
          {name}
        </a>
        <span class="clip muted">{Image}</span>
      </span>
      <span class="c-status clip">{Status}</span>
      <span class="c-ports">
        <PortList ports={Ports} />
      </span>
      <span class="c-actions">
        {isUp ? (
          <Button kind="quiet" icon="stop" label={`Stop ${name}`} changes onClick={() => act('stop')} />
        ) : (
          <Button kind="quiet" icon="play" label={`Start ${name}`} changes onClick={() => act('start')} />
        )}
        <Button
          kind="quiet"
          icon="restart"
          label={`Restart ${name}`}
          changes
          disabled={!isUp}
          onClick={() => act('restart')}
        />
      </span>
    </>
  );
}

/** What is published, as links where a browser can go. */
export function PortList({ ports }: { ports: readonly PortSummary[] }) {
  const published = ports.filter(
    ({ PublicPort, IP }) => PublicPort !== undefined && !(IP ?? '').includes(':'),
  );
  const shown = published.slice(0, 3);
  return (
    <span class="ports">
      {shown.map(({ IP, PublicPort, PrivatePort, Type }) => {
        const text = `${PublicPort ?? ''}→${PrivatePort}${Type === 'tcp' ? '' : `/${Type}`}`;
        const host = IP === undefined || IP === '0.0.0.0' ? location.hostname : IP;
        return Type === 'tcp' ? (
          <a
            key={`${host} ${text}`}
            class="chip"
            href={`http://${host}:${PublicPort ?? ''}/`}
            target="_blank"
            rel="noreferrer noopener"
          >
            {text}
          </a>
        ) : (
          <span key={`${host} ${text}`} class="chip">
            {text}
          </span>
        );
      })}
      {published.length > shown.length && <span class="muted">+{published.length - shown.length}</span>}
    </span>
  );
}

function isOf({ State: state }: ContainerSummary, which: Which): boolean {
  const isUp = state === 'running' || state === 'paused' || state === 'restarting';
  return which === 'all' || (which === 'running') === isUp;
}

function fits({ Id, Names, Image, State: state, Labels }: ContainerSummary, text: string): boolean {
  if (text === '') return true;
  const labels = Object.entries(Labels).map(([key, value]) => `${key}=${value}`);
  return [Id, Names.join(' '), Image, state, ...labels].some((one) =>
    one.toLowerCase().includes(text.toLowerCase()),
  );
}
