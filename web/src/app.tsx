// The shell: where one can go, whether the daemon answers, and the view that is looked at.

import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { request, forgetSession } from './client';
import { Button, Failure, Icon, Loading, Notices, type IconName } from './parts/ui';
import { Palette } from './parts/palette';
import {
  attempt,
  connection,
  containers,
  images,
  link,
  networks,
  own,
  pods,
  readOnly,
  route,
  theme,
  volumes,
  web,
  type Theme,
} from './store';
import { BuildsView } from './views/builds';
import { ContainerView } from './views/container';
import { ContainersView } from './views/containers';
import { EventsView } from './views/events';
import { ImageView } from './views/image';
import { ImagesView } from './views/images';
import { NetworksView } from './views/networks';
import { OverviewView } from './views/overview';
import { PodsView } from './views/pods';
import { RunView } from './views/run';
import { VmsView } from './views/vms';
import { VolumesView } from './views/volumes';

interface Place {
  id: string;
  name: string;
  icon: IconName;
  /** Goes there, after `g`. */
  key: string;
  count?: () => number | undefined;
}

const places: readonly Place[] = [
  { id: 'overview', name: 'Overview', icon: 'overview', key: 'o' },
  {
    id: 'containers',
    name: 'Containers',
    icon: 'containers',
    key: 'c',
    count: () => containers.value?.length,
  },
  { id: 'images', name: 'Images', icon: 'images', key: 'i', count: () => images.value?.length },
  { id: 'builds', name: 'Builds', icon: 'builds', key: 'b' },
  { id: 'networks', name: 'Networks', icon: 'networks', key: 'n', count: () => networks.value?.length },
  { id: 'volumes', name: 'Volumes', icon: 'volumes', key: 'v', count: () => volumes.value?.length },
  {
    id: 'pods',
    name: 'Pods',
    icon: 'pods',
    key: 'p',
    count: () => pods.value?.filter(({ kind }) => kind !== 'container').length,
  },
  { id: 'vms', name: 'Machines', icon: 'vms', key: 'm', count: () => own.value?.vms.total },
  { id: 'events', name: 'Events', icon: 'events', key: 'e' },
];

function view([place = 'overview', id, part, ...rest]: readonly string[]): ComponentChildren {
  switch (place) {
    case 'overview':
      return <OverviewView />;
    case 'containers':
      return id === undefined ? (
        <ContainersView />
      ) : (
        <ContainerView key={id} id={id} part={part ?? 'logs'} path={rest[0]} />
      );
    case 'run':
      return <RunView key={id} image={id ?? ''} />;
    case 'images':
      return id === undefined ? <ImagesView /> : <ImageView key={id} id={id} />;
    case 'builds':
      return <BuildsView selected={id} />;
    case 'networks':
      return <NetworksView />;
    case 'volumes':
      return <VolumesView />;
    case 'pods':
      return <PodsView />;
    case 'vms':
      return <VmsView selected={id} />;
    case 'events':
      return <EventsView />;
    default:
      return <Failure error="There is nothing at this address." />;
  }
}

const themes: readonly { id: Theme; icon: IconName; name: string }[] = [
  { id: 'auto', icon: 'auto', name: 'as the system' },
  { id: 'light', icon: 'sun', name: 'light' },
  { id: 'dark', icon: 'moon', name: 'dark' },
];

function ThemeButton() {
  const at = themes.findIndex(({ id }) => id === theme.value);
  const now = themes[at] ?? themes[0];
  const next = themes[(at + 1) % themes.length];
  return (
    <Button
      kind="quiet"
      icon={now?.icon ?? 'auto'}
      label={`Colours: ${now?.name ?? ''}. Change to ${next?.name ?? ''}`}
      onClick={() => (theme.value = next?.id ?? 'auto')}
    />
  );
}

export function App() {
  const [menu, setMenu] = useState(false);
  const [palette, setPalette] = useState(false);
  const active = route.value[0] ?? 'overview';
  useEffect(() => {
    setMenu(false);
    const name = places.find(({ id }) => id === active)?.name ?? 'Run';
    document.title = `${name} · Caisson`;
  }, [route.value]);
  // another view begins at its top, another part of the same one stays where it is
  const whole = route.value.slice(0, 2).join('/');
  useEffect(() => document.getElementById('main')?.scrollTo(0, 0), [whole]);
  useEffect(() => keyboard(() => setPalette(true)), []);

  if (connection.value === 'out') return <LoggedOut />;
  return (
    <div class={`shell ${menu ? 'menu-open' : ''}`}>
      <a class="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <header class="bar">
        <Button
          kind="quiet"
          icon="menu"
          label={menu ? 'Close menu' : 'Open menu'}
          onClick={() => setMenu(!menu)}
        />
        <Brand />
        <Button kind="quiet" icon="search" label="Go to (Ctrl K)" onClick={() => setPalette(true)} />
      </header>
      <nav class="side" aria-label="Views">
        <Brand />
        <button type="button" class="finder" onClick={() => setPalette(true)}>
          <Icon name="search" size={15} />
          <span>Go to…</span>
          <kbd>Ctrl K</kbd>
        </button>
        <ul>
          {places.map(({ id, name, icon, count }) => (
            <li key={id}>
              <a href={link(id)} {...(active === id ? { 'aria-current': 'page' as const } : {})}>
                <Icon name={icon} />
                <span>{name}</span>
                {count?.() !== undefined && <span class="count">{count()}</span>}
              </a>
            </li>
          ))}
        </ul>
        <footer>
          <Online />
          <Button
            kind="quiet"
            icon="leave"
            label="Leave: this browser needs a new address then"
            onClick={leave}
          />
          <ThemeButton />
        </footer>
      </nav>
      <div class="veil" onClick={() => setMenu(false)} />
      <main id="main" tabIndex={-1}>
        {connection.value === 'away' && (
          <div class="away" role="alert">
            <span class="spinner" aria-hidden="true" />
            The daemon does not answer. Containers run on; this page comes back with it.
          </div>
        )}
        {connection.value === 'connecting' ? <Loading what="Looking for the daemon" /> : view(route.value)}
      </main>
      <Notices />
      {palette && <Palette places={places} onClose={() => setPalette(false)} />}
    </div>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function Brand() {
  return (
    <a class="brand" href={link('overview')}>
      <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M7 12.5 16 8l9 4.5v8L16 25l-9-4.5zM7 12.5l9 4.5 9-4.5M16 17v8" />
      </svg>
      Caisson
    </a>
  );
}

function Online() {
  const texts = {
    connecting: 'Connecting',
    online: `Version ${web.value?.version ?? ''}`,
    away: 'No answer',
    out: '',
  };
  const state = connection.value;
  return (
    <span class={`online is-${state}`}>
      <span class="dot" aria-hidden="true" />
      <span>
        {texts[state]}
        {readOnly.value && <small>for looking only</small>}
      </span>
    </span>
  );
}

function LoggedOut() {
  return (
    <main class="out">
      <Brand />
      <h1>This page needs its address with a token</h1>
      <p>
        Each address is good for one browser and once. <code>caisson up</code> prints a new one; root finds it
        in <code>web-url</code> in the daemon’s run directory:
      </p>
      <pre>sudo cat /run/caisson/web-url</pre>
    </main>
  );
}

/** Between the two keys that go to a view. */
const pairMs = 3_000;

/** `g` and a letter go to a view, Ctrl-K or `/` finds anything, `?` is the same. */
function keyboard(find: () => void): () => void {
  let last = { key: '', at: 0 };
  const pressed = (event: KeyboardEvent): void => {
    const inField = (event.target as HTMLElement).closest('input, textarea, select, .xterm, dialog') !== null;
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !isTerminal(event)) {
      event.preventDefault();
      find();
      return;
    }
    if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '/') {
      const field = document.querySelector<HTMLInputElement>('main input[type=search]');
      if (field === null) find();
      else field.focus();
      event.preventDefault();
    } else if (event.key === '?') find();
    else if (last.key === 'g' && event.timeStamp - last.at < pairMs) {
      const place = places.find(({ key }) => key === event.key);
      if (place !== undefined) location.hash = link(place.id);
    }
    last = { key: event.key, at: event.timeStamp };
  };
  addEventListener('keydown', pressed);
  return () => removeEventListener('keydown', pressed);
}

function isTerminal(event: KeyboardEvent): boolean {
  return (event.target as HTMLElement).closest('.xterm') !== null;
}

/** On a machine that others use, too. */
async function leave(): Promise<void> {
  if (!(await attempt(() => request('/web/logout', { method: 'POST' })))) return;
  forgetSession();
  connection.value = 'out';
}
